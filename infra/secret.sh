# shellcheck shell=sh
# The webhook's secret in Key Vault, and the app that reads it: what the hooks and rotate-secret share. Sourced, not run.
#
# A secret is handed on by standard input and shell variables alone: never as an argument, which the system shows to
# everyone and the Azure CLI may log, never in a file, and never printed.

# shellcheck disable=SC2034 # for those that source this
CURRENT=webhook-secret PREVIOUS=webhook-secret-previous

# The check's calls carry this trace ID ("deployment check" in hexadecimal). infra/queries/calls.kql leaves them out, as a
# call without a secret would otherwise raise the alert about lost events.
CHECK_TRACE=6465706c6f796d656e7420636865636b

say() {
  printf '%s\n' "$*"
}

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Takes from the azd environment what is not set yet; hooks are started with all of it set.
environment_load() {
  for name in AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP AZURE_KEY_VAULT_NAME SERVICE_WEBHOOK_NAME SERVICE_WEBHOOK_HOSTNAME; do
    eval "value=\${$name-}"
    if [ -z "$value" ]; then
      value=$(azd env get-value "$name") || fail "$name is not in the azd environment: has azd provision been run?"
      eval "$name=\$value"
    fi
  done
}

# 256 random bits, in characters that need no encoding in a URL.
secret_new() {
  head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

# What there is. Callers keep it in a variable first: where a listing fails, the script must end, and not take a secret
# for missing and make another.
secret_names() {
  az keyvault secret list --vault-name "$AZURE_KEY_VAULT_NAME" --subscription "$AZURE_SUBSCRIPTION_ID" \
    --query '[].name' --output tsv --only-show-errors
}

secret_read() { # name, what of it
  az keyvault secret show --vault-name "$AZURE_KEY_VAULT_NAME" --subscription "$AZURE_SUBSCRIPTION_ID" \
    --name "$1" --query "$2" --output tsv --only-show-errors
}

secret_write() { # name, value
  [ "${#2}" -ge 16 ] || fail "The value for $1 is too short to be a secret; nothing was written."
  printf '%s' "$2" | az keyvault secret set --vault-name "$AZURE_KEY_VAULT_NAME" \
    --subscription "$AZURE_SUBSCRIPTION_ID" --name "$1" --file /dev/stdin --encoding utf-8 --output none --only-show-errors
}

# Waits until the secrets can be reached: a role that was just assigned takes minutes to count.
vault_wait() {
  command -v az >/dev/null || fail "The Azure CLI (az) is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli"
  az account show --subscription "$AZURE_SUBSCRIPTION_ID" --output none --only-show-errors ||
    fail "The Azure CLI does not reach the subscription $AZURE_SUBSCRIPTION_ID: az login, as the one who deploys."
  vault_tries=40
  until secret_names >/dev/null 2>&1; do
    vault_tries=$((vault_tries - 1))
    if [ "$vault_tries" -eq 0 ]; then
      secret_names >/dev/null || true # for its message
      fail "No access to the secrets of the vault $AZURE_KEY_VAULT_NAME after 10 minutes. Is the Azure CLI signed in as the" \
        "one who deploys? That one has the role Key Vault Secrets Officer."
    fi
    say "Waiting for access to the vault $AZURE_KEY_VAULT_NAME ..."
    sleep 15
  done
}

# App Service keeps what it read from the vault for a day; a restart alone does not make it read again.
app_refresh() {
  az rest --method post --output none --only-show-errors --url \
    "/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$AZURE_RESOURCE_GROUP/providers/Microsoft.Web/sites/$SERVICE_WEBHOOK_NAME/config/configreferences/appsettings/refresh?api-version=2022-03-01"
}

app_restart() {
  az functionapp restart --name "$SERVICE_WEBHOOK_NAME" --resource-group "$AZURE_RESOURCE_GROUP" \
    --subscription "$AZURE_SUBSCRIPTION_ID" --output none --only-show-errors
}

# A call without a secret shows how the app stands, and touches nothing: see "Paste it into Partner Center" in README.md.
app_status() {
  curl --silent --output /dev/null --write-out '%{http_code}' --max-time 30 --request POST --data '' \
    --header "traceparent: 00-$CHECK_TRACE-6465706c6f79ed01-01" \
    "https://$SERVICE_WEBHOOK_HOSTNAME/api/resource" || true # no connection: 000
}

# Waits until the app answers as one that is alive and has its secret; fails, and says why, if it does not.
app_check() {
  app_tries=20
  while :; do
    app_code=$(app_status)
    [ "$app_code" != 401 ] || return 0
    app_tries=$((app_tries - 1))
    [ "$app_tries" -gt 0 ] || break
    say "Waiting for the app (it answers $app_code) ..."
    sleep 15
  done
  case $app_code in
    404)
      fail "The app runs, but has no function 'resource': it could not be imported. Was it built with another Python than" \
        "it runs on? The log of the build names the version ('oryx build ... --platform-version'); it must be 3.13, as in" \
        "infra/modules/function.bicep. docs/operations.md, 'The deployment fails at its check', has a way around it."
      ;;
    500)
      fail "The app runs, but its settings are missing or unusable. Its log names them: docs/operations.md," \
        "'The deployment fails at its check'."
      ;;
    *)
      fail "https://$SERVICE_WEBHOOK_HOSTNAME/api/resource answers $app_code instead of 401 to a call without a secret:" \
        "the app is not up. Its log stream in the portal says why."
      ;;
  esac
}

endpoint_print() {
  cat <<END

Notification Endpoint URL, for the plan's Technical configuration page in Partner Center:

  https://$SERVICE_WEBHOOK_HOSTNAME/api?secret=********

The secret is in the vault $AZURE_KEY_VAULT_NAME. This prints the URL with it:

  echo "https://$SERVICE_WEBHOOK_HOSTNAME/api?secret=\$(az keyvault secret show --vault-name $AZURE_KEY_VAULT_NAME --name $CURRENT --query value --output tsv)"

END
}
