#!/bin/sh
# Asks the deployed app how it stands, fails the deployment if it is not well, and prints what to paste into Partner
# Center, with the secret masked. Run by azd after a deployment.

set -eu
# shellcheck source=infra/secret.sh
. "$(dirname "$0")/../secret.sh"

environment_load
app_check
endpoint_print
