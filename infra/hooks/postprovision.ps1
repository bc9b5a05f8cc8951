# Makes the secret of the webhook's URL in Key Vault, if there is none yet. Never changes one that is there, so that
# provisioning again does no harm. Run by azd after the resources are made; the same as postprovision.sh.

. "$PSScriptRoot/../secret.ps1"

Import-Environment
Wait-Vault
if (-not (Test-Secret $Current)) {
    Write-Secret $Current (New-Secret)
    Write-Host "A secret was made in the vault $env:AZURE_KEY_VAULT_NAME."
}
if (-not (Test-Secret $Previous)) {
    # the same value, as long as no rotation is under way: see infra/modules/vault.bicep
    Write-Secret $Previous (Read-Secret $Current value)
}
# in any case: what was read before the app's role counted stays unresolved for a day
Update-App
