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

# Seconds between two looks at something that takes a while.
PAUSE=${CHECK_PAUSE:-15}

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

# Tells whoever has no Azure CLI, or has not signed in with it: azd's own sign-in is another one.
az_ready() {
  command -v az >/dev/null || fail "The Azure CLI (az) is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli"
  az account show --subscription "$AZURE_SUBSCRIPTION_ID" --output none --only-show-errors ||
    fail "The Azure CLI does not reach the subscription $AZURE_SUBSCRIPTION_ID: az login, as the one who deploys."
}

# Waits until the secrets can be reached: a role that was just assigned takes minutes to count.
vault_wait() {
  az_ready
  vault_tries=40 vault_said=""
  until vault_error=$(secret_names 2>&1 >/dev/null); do
    if [ -z "$vault_said" ]; then
      vault_said=$vault_error
      printf '%s\n' "$vault_error" >&2
    fi
    case $vault_error in
      # No token at all, as where a sign-in has expired: https://github.com/Azure/azure-cli/issues/28708
      *AADSTS*) fail "The Azure CLI cannot sign in to the vault $AZURE_KEY_VAULT_NAME, and waiting does not help: az login, as the one who deploys." ;;
    esac
    vault_tries=$((vault_tries - 1))
    [ "$vault_tries" -gt 0 ] ||
      fail "No access to the secrets of the vault $AZURE_KEY_VAULT_NAME after 10 minutes. Is the Azure CLI signed in as the" \
        "one who deploys? That one has the role Key Vault Secrets Officer."
    say "Waiting for access to the vault $AZURE_KEY_VAULT_NAME ..."
    sleep "$PAUSE"
  done
}

app_references() { # what Azure's API calls the app's references to the vault
  printf '%s' "/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$AZURE_RESOURCE_GROUP/providers/Microsoft.Web/sites/$SERVICE_WEBHOOK_NAME/config/configreferences/appsettings"
}

# App Service keeps what it read from the vault for a day; a restart alone does not make it read again.
app_refresh() {
  az rest --method post --output none --only-show-errors --url "$(app_references)/refresh?api-version=2022-03-01"
}

# Tells whether the app has read what the vault holds: each reference is resolved, and to the newest version. Its answers
# cannot tell, as a call without a secret gets 401 from an app that holds old secrets, too.
app_is_current() {
  for setting in WEBHOOK_SECRET WEBHOOK_SECRET_PREVIOUS; do
    case $setting in
      *_PREVIOUS) version=$(secret_read "$PREVIOUS" id) || return 1 ;;
      *) version=$(secret_read "$CURRENT" id) || return 1 ;;
    esac
    # az prints a list one item a line
    held=$(az rest --method get --query 'properties.[status,activeVersion]' --output tsv --only-show-errors \
      --url "$(app_references)/$setting?api-version=2025-05-01") || return 1
    held=$(printf '%s' "$held" | tr -s '\r\n' ' ')
    if [ "$held" != "Resolved ${version##*/}" ]; then
      app_lags="$setting is '$held', and should be 'Resolved ${version##*/}'"
      return 1
    fi
  done
}

# Has the app read the vault until it holds what the vault holds; fails, and says where it stands, if it does not.
app_catch_up() {
  app_lags="the references could not be read"
  app_tries=20
  while :; do
    # asked again every fourth time: one refresh can come before the vault shows the new version to the app
    [ $((app_tries % 4)) -ne 0 ] || app_refresh || true # one that fails is said, and asked again
    ! app_is_current || return 0
    app_tries=$((app_tries - 1))
    [ "$app_tries" -gt 0 ] || break
    say "Waiting for the app to read the vault ..."
    sleep "$PAUSE"
  done
  fail "The app has not read what the vault $AZURE_KEY_VAULT_NAME holds: $app_lags. Change nothing in Partner Center, and run" \
    "this again. The portal shows both under the app's Environment variables; docs/operations.md, 'Rotate the secret'."
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

# Waits until the app answers as one that is alive and has its secret; fails, and says why, if it does not. Three times in a
# row, as for a while an instance of before may answer beside the new ones.
app_check() {
  app_tries=20 app_well=0
  while :; do
    app_code=$(app_status)
    if [ "$app_code" = 401 ]; then
      app_well=$((app_well + 1))
      [ "$app_well" -lt 3 ] || return 0
    else
      app_well=0
      app_tries=$((app_tries - 1))
      [ "$app_tries" -gt 0 ] || break
      say "Waiting for the app (it answers $app_code) ..."
      # a reference that was read before the app's role counted stays unresolved for a day
      [ "$app_code" != 500 ] || app_refresh || true
    fi
    sleep "$PAUSE"
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
