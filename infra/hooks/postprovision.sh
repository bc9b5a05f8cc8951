#!/bin/sh
# Makes the secret of the webhook's URL in Key Vault, if there is none yet. Never changes one that is there, so that
# provisioning again does no harm. Run by azd after the resources are made.

set -eu
# shellcheck source=infra/secret.sh
. "$(dirname "$0")/../secret.sh"

environment_load
vault_wait
names=$(secret_names)
if ! printf '%s\n' "$names" | grep -qx "$CURRENT"; then
  secret_write "$CURRENT" "$(secret_new)"
  say "A secret was made in the vault $AZURE_KEY_VAULT_NAME."
fi
if ! printf '%s\n' "$names" | grep -qx "$PREVIOUS"; then
  # the same value, as long as no rotation is under way: see infra/modules/vault.bicep
  value=$(secret_read "$CURRENT" value)
  secret_write "$PREVIOUS" "$value"
fi
# In any case: what was read before the secret was there, or before the app's role counted, stays unresolved for a day.
app_refresh
