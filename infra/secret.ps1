# The webhook's secret in Key Vault, and the app that reads it: what the hooks and rotate-secret.ps1 share. Dot-sourced, not
# run. The same as secret.sh, for Windows; the reasons stand there.
#
# The Azure CLI of Windows reads no standard input, so a secret goes through a file that only the user can read and that is
# gone at once. It is never an argument, and never printed.

$ErrorActionPreference = 'Stop'

$Current = 'webhook-secret'
$Previous = 'webhook-secret-previous'
$CheckTrace = '6465706c6f796d656e7420636865636b'
$Pause = if ($env:CHECK_PAUSE) { [int]$env:CHECK_PAUSE } else { 15 }

function Invoke-Az {
    $output = & az @args
    if ($LASTEXITCODE -ne 0) { throw "az $($args[0]) $($args[1]) failed." }
    $output
}

function Import-Environment {
    foreach ($name in 'AZURE_SUBSCRIPTION_ID', 'AZURE_RESOURCE_GROUP', 'AZURE_KEY_VAULT_NAME', 'SERVICE_WEBHOOK_NAME', 'SERVICE_WEBHOOK_HOSTNAME') {
        if (-not [Environment]::GetEnvironmentVariable($name)) {
            $value = & azd env get-value $name
            if ($LASTEXITCODE -ne 0) { throw "$name is not in the azd environment: has azd provision been run?" }
            [Environment]::SetEnvironmentVariable($name, $value)
        }
    }
}

function New-Secret {
    $bytes = New-Object byte[] 32
    $random = [Security.Cryptography.RandomNumberGenerator]::Create()
    try { $random.GetBytes($bytes) } finally { $random.Dispose() }
    [Convert]::ToBase64String($bytes).Replace('+', '-').Replace('/', '_').TrimEnd('=')
}

function Get-SecretNames {
    Invoke-Az keyvault secret list --vault-name $env:AZURE_KEY_VAULT_NAME --subscription $env:AZURE_SUBSCRIPTION_ID --query '[].name' --output tsv --only-show-errors
}

function Test-Secret([string] $Name) {
    @(Get-SecretNames) -contains $Name
}

function Read-Secret([string] $Name, [string] $What) {
    Invoke-Az keyvault secret show --vault-name $env:AZURE_KEY_VAULT_NAME --subscription $env:AZURE_SUBSCRIPTION_ID --name $Name --query $What --output tsv --only-show-errors
}

function Write-Secret([string] $Name, [string] $Value) {
    if ($Value.Length -lt 16) { throw "The value for $Name is too short to be a secret; nothing was written." }
    $file = [IO.Path]::GetTempFileName()
    try {
        [IO.File]::WriteAllText($file, $Value)
        Invoke-Az keyvault secret set --vault-name $env:AZURE_KEY_VAULT_NAME --subscription $env:AZURE_SUBSCRIPTION_ID --name $Name --file $file --encoding utf-8 --output none --only-show-errors
    }
    finally {
        Remove-Item -LiteralPath $file -Force
    }
}

function Assert-Az {
    if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
        throw 'The Azure CLI (az) is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli'
    }
    try {
        Invoke-Az account show --subscription $env:AZURE_SUBSCRIPTION_ID --output none --only-show-errors
    }
    catch {
        throw "The Azure CLI does not reach the subscription $($env:AZURE_SUBSCRIPTION_ID): az login, as the one who deploys."
    }
}

function Wait-Vault {
    Assert-Az
    for ($tries = 40; ; $tries--) {
        $output = & {
            $ErrorActionPreference = 'Continue' # what az writes to its error stream is wanted here, and no exception
            az keyvault secret list --vault-name $env:AZURE_KEY_VAULT_NAME --subscription $env:AZURE_SUBSCRIPTION_ID --query '[].name' --output tsv --only-show-errors 2>&1
        }
        if ($LASTEXITCODE -eq 0) { return }
        $problem = $output | Out-String
        if ($tries -eq 40) { Write-Host $problem }
        if ($problem -match 'AADSTS') {
            throw "The Azure CLI cannot sign in to the vault $env:AZURE_KEY_VAULT_NAME, and waiting does not help: az login, as the one who deploys."
        }
        if ($tries -le 1) {
            throw "No access to the secrets of the vault $env:AZURE_KEY_VAULT_NAME after 10 minutes. Is the Azure CLI signed in as the one who deploys? That one has the role Key Vault Secrets Officer."
        }
        Write-Host "Waiting for access to the vault $env:AZURE_KEY_VAULT_NAME ..."
        Start-Sleep -Seconds $Pause
    }
}

function Get-ReferencesUrl {
    "/subscriptions/$env:AZURE_SUBSCRIPTION_ID/resourceGroups/$env:AZURE_RESOURCE_GROUP/providers/Microsoft.Web/sites/$env:SERVICE_WEBHOOK_NAME/config/configreferences/appsettings"
}

function Update-App {
    Invoke-Az rest --method post --output none --only-show-errors --url "$(Get-ReferencesUrl)/refresh?api-version=2022-03-01"
}

# Gives what the app lacks of what the vault holds; nothing, if it has read it all.
function Get-Lag {
    foreach ($setting in @{ WEBHOOK_SECRET = $Current; WEBHOOK_SECRET_PREVIOUS = $Previous }.GetEnumerator()) {
        $version = ([string](Read-Secret $setting.Value id)).Split('/')[-1]
        $held = @(Invoke-Az rest --method get --query 'properties.[status,activeVersion]' --output tsv --only-show-errors --url "$(Get-ReferencesUrl)/$($setting.Key)?api-version=2025-05-01") -join ' '
        if ($held -cne "Resolved $version") { "$($setting.Key) is '$held', and should be 'Resolved $version'" }
    }
}

function Wait-References {
    for ($tries = 20; $tries -gt 0; $tries--) {
        if ($tries % 4 -eq 0) {
            try { Update-App } catch { Write-Host "$_" } # asked again
        }
        try { $lag = @(Get-Lag) } catch { $lag = @("$_") }
        if ($lag.Count -eq 0) { return }
        if ($tries -gt 1) {
            Write-Host 'Waiting for the app to read the vault ...'
            Start-Sleep -Seconds $Pause
        }
    }
    throw "The app has not read what the vault $env:AZURE_KEY_VAULT_NAME holds: $($lag -join '; '). Change nothing in Partner Center, and run this again. The portal shows both under the app's Environment variables; docs/operations.md, 'Rotate the secret'."
}

function Restart-App {
    Invoke-Az functionapp restart --name $env:SERVICE_WEBHOOK_NAME --resource-group $env:AZURE_RESOURCE_GROUP --subscription $env:AZURE_SUBSCRIPTION_ID --output none --only-show-errors
}

function Get-AppStatus {
    $headers = @{ traceparent = "00-$CheckTrace-6465706c6f79ed01-01" }
    try {
        [int](Invoke-WebRequest -Method Post -Body '' -Headers $headers -TimeoutSec 30 -UseBasicParsing -Uri "https://$env:SERVICE_WEBHOOK_HOSTNAME/api/resource").StatusCode
    }
    catch {
        if ($_.Exception.Response) { [int]$_.Exception.Response.StatusCode } else { 0 }
    }
}

function Assert-App {
    $well = 0
    $tries = 20
    while ($true) {
        $code = Get-AppStatus
        if ($code -eq 401) {
            $well++
            if ($well -ge 3) { return }
        }
        else {
            $well = 0
            $tries--
            if ($tries -le 0) { break }
            Write-Host "Waiting for the app (it answers $code) ..."
            if ($code -eq 500) {
                # a reference that was read before the app's role counted stays unresolved for a day
                try { Update-App } catch { Write-Host "$_" }
            }
        }
        Start-Sleep -Seconds $Pause
    }
    switch ($code) {
        404 { throw "The app runs, but has no function 'resource': it could not be imported. Was it built with another Python than it runs on? The log of the build names the version ('oryx build ... --platform-version'); it must be 3.13, as in infra/modules/function.bicep. docs/operations.md, 'The deployment fails at its check', has a way around it." }
        500 { throw "The app runs, but its settings are missing or unusable. Its log names them: docs/operations.md, 'The deployment fails at its check'." }
        default { throw "https://$env:SERVICE_WEBHOOK_HOSTNAME/api/resource answers $code instead of 401 to a call without a secret: the app is not up. Its log stream in the portal says why." }
    }
}

function Write-Endpoint {
    Write-Host @"

Notification Endpoint URL, for the plan's Technical configuration page in Partner Center:

  https://$env:SERVICE_WEBHOOK_HOSTNAME/api?secret=********

The secret is in the vault $env:AZURE_KEY_VAULT_NAME. This prints the URL with it:

  echo "https://$env:SERVICE_WEBHOOK_HOSTNAME/api?secret=`$(az keyvault secret show --vault-name $env:AZURE_KEY_VAULT_NAME --name $Current --query value --output tsv)"

"@
}
