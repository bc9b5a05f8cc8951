# Asks the deployed app how it stands, fails the deployment if it is not well, and prints what to paste into Partner
# Center, with the secret masked. Run by azd after a deployment; the same as postdeploy.sh.

. "$PSScriptRoot/../secret.ps1"

Import-Environment
Assert-App
Write-Endpoint
