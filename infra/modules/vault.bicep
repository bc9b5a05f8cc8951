// The vault that holds the secret of the webhook's URL, and the one before it. Never made here: the secrets themselves.
// Hook postprovision makes them, so that they stand in no template, no parameter and no deployment's history.
//
// Both secrets always exist. While no rotation is under way, the previous one is the same as the current: then starting a
// rotation is one write, of the current secret, and there is no moment at which a reference of the app is unresolved.

@description('Name of the vault.')
param name string

@description('Region.')
param location string

@description('Tags of the vault.')
param tags object

@description('Principal ID of the app\'s identity, which may read secrets.')
param appPrincipalId string

@description('Object ID of whoever may make and rotate the secret; empty for nobody.')
param operatorPrincipalId string

@description('Kind of that principal.')
param operatorPrincipalType string

@description('Keep a deleted vault from being purged. Once on, Azure does not let it be turned off again.')
param deletionProtection bool

@description('Workspace that is told who read the secret.')
param workspaceId string

var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var keyVaultSecretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  // checkov:skip=CKV_AZURE_109: whoever deploys or rotates writes the secret from a machine whose address nobody knows beforehand
  // checkov:skip=CKV_AZURE_189: the same; identities with a role get in, and the audit log tells which did
  // checkov:skip=CKV_AZURE_110: the publisher's choice (deletionProtection), as it cannot be undone
  // checkov:skip=CKV_AZURE_42: the same; soft delete is on in any case
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    enablePurgeProtection: deletionProtection ? true : null // false is not a value that Azure takes
    publicNetworkAccess: 'Enabled'
  }
}

resource appReadsSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, appPrincipalId, keyVaultSecretsUser)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsUser)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource operatorWritesSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  name: guid(vault.id, operatorPrincipalId, keyVaultSecretsOfficer)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsOfficer)
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'who-read-the-secret'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'AuditEvent', enabled: true }
    ]
  }
}

output name string = vault.name
output uri string = vault.properties.vaultUri
