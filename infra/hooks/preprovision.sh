#!/bin/sh
# Registers the provider Microsoft.App where private networking is asked for: the app's subnet is delegated to it, and a
# template registers only the providers of its own resources (https://github.com/Azure/bicep/issues/16340). Does nothing
# otherwise. Run by azd before the resources are made.

set -eu
# shellcheck source=infra/secret.sh
. "$(dirname "$0")/../secret.sh"

case ${WEBHOOK_PRIVATE_NETWORKING-} in
  [Tt][Rr][Uu][Ee]) ;;
  *) exit 0 ;;
esac
if [ -z "${AZURE_SUBSCRIPTION_ID-}" ]; then
  say "Which subscription is not known yet. If Microsoft.App is not registered there: az provider register --namespace Microsoft.App --wait"
  exit 0
fi
az_ready
state=$(az provider show --namespace Microsoft.App --subscription "$AZURE_SUBSCRIPTION_ID" --query registrationState \
  --output tsv --only-show-errors)
if [ "$state" != Registered ]; then
  say "Registering the provider Microsoft.App, for the private network ..."
  az provider register --namespace Microsoft.App --subscription "$AZURE_SUBSCRIPTION_ID" --output none --only-show-errors --wait
fi
