# Changes the secret of the webhook's URL without losing an event; the same as rotate-secret, for Windows.
#
#   infra/rotate-secret.ps1                   a new secret becomes the current one; the one before it is accepted, too
#   infra/rotate-secret.ps1 -Finish           more than 10 hours after the offer with the new URL went live: the old one is dropped
#   infra/rotate-secret.ps1 -Finish -AtOnce   the old one is known to others: dropped now, and with it what comes by it
#
# May be interrupted and run again at any point: what was done is not done twice. Prints no secret. Says what is accepted
# only when the app holds what the vault holds.

# A word that is not understood is an error: without this it would be ignored, and a rotation begin.
[CmdletBinding(PositionalBinding = $false)]
param([switch] $Finish, [switch] $AtOnce)

. "$PSScriptRoot/secret.ps1"

function Invoke-Apply {
    Wait-References
    Restart-App
    Assert-App
}

if ($AtOnce -and -not $Finish) { throw '-AtOnce goes with -Finish.' }
Import-Environment
Wait-Vault
$value = Read-Secret $Current value
$underWay = $value -cne (Read-Secret $Previous value)

if ($Finish) {
    if (-not $underWay) {
        Write-Host 'No rotation is under way.'
    }
    else {
        $created = [DateTimeOffset]::Parse((Read-Secret $Current attributes.created), [Globalization.CultureInfo]::InvariantCulture)
        if (-not $AtOnce -and $created -ge [DateTimeOffset]::UtcNow.AddHours(-10)) {
            throw "The new secret is from $($created.ToString('u')), less than 10 hours ago: what the Marketplace still sends by the old URL would be lost."
        }
        Write-Secret $Previous $value
    }
    Invoke-Apply
    Write-Host 'Only the current secret is accepted now.'
}
else {
    if ($underWay) {
        Write-Host "A rotation is under way since $(Read-Secret $Current attributes.created): no other secret is made."
    }
    else {
        # one write is all: the previous secret is the current one already
        Write-Secret $Current (New-Secret)
        Write-Host 'A new secret is in the vault.'
    }
    Invoke-Apply
    Write-Host 'Both secrets are accepted now.'
    Write-Endpoint
    Write-Host 'Next:'
    Write-Host '1. Change the URL in Partner Center, and publish the offer.'
    Write-Host '2. When it is live, wait more than 10 hours: so long does the Marketplace retry with the old URL.'
    Write-Host '3. infra/rotate-secret.ps1 -Finish'
}
