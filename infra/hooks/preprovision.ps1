# Registers the provider Microsoft.App where private networking is asked for, and does nothing otherwise. Run by azd before
# the resources are made; the same as preprovision.sh, where the reason stands.

. "$PSScriptRoot/../secret.ps1"

if ($env:WEBHOOK_PRIVATE_NETWORKING -ne 'true') { exit 0 }
if (-not $env:AZURE_SUBSCRIPTION_ID) {
    Write-Host 'Which subscription is not known yet. If Microsoft.App is not registered there: az provider register --namespace Microsoft.App --wait'
    exit 0
}
Assert-Az
$state = Invoke-Az provider show --namespace Microsoft.App --subscription $env:AZURE_SUBSCRIPTION_ID --query registrationState --output tsv --only-show-errors
if ($state -ne 'Registered') {
    Write-Host 'Registering the provider Microsoft.App, for the private network ...'
    Invoke-Az provider register --namespace Microsoft.App --subscription $env:AZURE_SUBSCRIPTION_ID --output none --only-show-errors --wait
}
