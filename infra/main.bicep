// The whole of the webhook in Azure: one resource group with the function, its tables, its secret's vault and what
// watches it. No output and no parameter holds a secret, and no module comes from a registry: this compiles offline.

targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('Name of the azd environment. The names of all resources are made from it.')
param environmentName string

@minLength(1)
@description('Region of all resources: any that has the Flex Consumption plan (az functionapp list-flexconsumption-locations).')
@metadata({ azd: { type: 'location' } })
param location string

@description('Object ID of whoever deploys: may write the secret and read the tables. Empty: nobody besides the app may.')
param principalId string = ''

@description('Kind of the principal that deploys.')
@allowed(['User', 'ServicePrincipal'])
param principalType string = 'User'

@description('Address that alerts are mailed to. Empty: alerts are only shown in the portal.')
param alertEmail string = ''

@description('Gigabytes of logs a day after which the workspace takes no more; alerts are blind until the next day. -1: no cap.')
param dailyCapGb int = 1

@description('Lock the storage account against deletion, and keep a deleted vault from being purged. azd down then fails until the lock is gone.')
param deletionProtection bool = false

@description('Reach the storage account through a virtual network and private endpoints only.')
param privateNetworking bool = false

@description('Calls that one instance serves at once. 64 is the most that was measured (docs/performance.md); the default for Python would be 1.')
@minValue(1)
@maxValue(1000)
param perInstanceConcurrency int = 64

@description('Instances at most: the ceiling of the bill. 40 is the lowest that the plan takes everywhere.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

var abbreviations = loadJsonContent('./abbreviations.json')
var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var appName = '${abbreviations.webSitesFunctions}${token}'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: '${abbreviations.resourcesResourceGroups}${environmentName}'
  location: location
  tags: tags
}

module identity './modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: '${abbreviations.managedIdentityUserAssignedIdentities}${token}'
    location: location
    tags: tags
  }
}

module monitoring './modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: '${abbreviations.operationalInsightsWorkspaces}${token}'
    componentName: '${abbreviations.insightsComponents}${token}'
    location: location
    tags: tags
    dailyCapGb: dailyCapGb
    appPrincipalId: identity.outputs.principalId
  }
}

module network './modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    name: '${abbreviations.networkVirtualNetworks}${token}'
    location: location
    tags: tags
  }
}

module storage './modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: '${abbreviations.storageStorageAccounts}${token}'
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    operatorPrincipalId: principalId
    operatorPrincipalType: principalType
    deletionProtection: deletionProtection
    privateNetworking: privateNetworking
  }
}

module endpoints './modules/endpoints.bicep' = if (privateNetworking) {
  name: 'endpoints'
  scope: group
  params: {
    prefix: '${abbreviations.networkPrivateEndpoints}${token}'
    location: location
    tags: tags
    storageAccountId: storage.outputs.id
    networkId: privateNetworking ? network!.outputs.id : ''
    subnetId: privateNetworking ? network!.outputs.endpointsSubnetId : ''
  }
}

module vault './modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: '${abbreviations.keyVaultVaults}${token}'
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    operatorPrincipalId: principalId
    operatorPrincipalType: principalType
    deletionProtection: deletionProtection
    workspaceId: monitoring.outputs.workspaceId
  }
}

module function './modules/function.bicep' = {
  name: 'function'
  scope: group
  params: {
    name: appName
    planName: '${abbreviations.webServerFarms}${token}'
    location: location
    tags: union(tags, { 'azd-service-name': 'webhook' }) // by this tag, azd finds where to deploy the service
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    deploymentContainerUri: storage.outputs.deploymentContainerUri
    blobServiceUri: storage.outputs.blobServiceUri
    tableServiceUri: storage.outputs.tableServiceUri
    vaultUri: vault.outputs.uri
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    perInstanceConcurrency: perInstanceConcurrency
    maximumInstanceCount: maximumInstanceCount
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
  }
  dependsOn: [
    endpoints // without them, the app's first start would not find its storage
  ]
}

module alerts './modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    actionGroupName: '${abbreviations.insightsActionGroups}${token}'
    appName: appName
    appId: function.outputs.id
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    email: alertEmail
  }
}

module workbook './modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    appName: appName
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    componentId: monitoring.outputs.componentId
  }
}

// azd keeps these in .azure/<environment>/.env and hands them to the hooks and to infra/rotate-secret.
output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output AZURE_STORAGE_ACCOUNT_NAME string = storage.outputs.name
output SERVICE_WEBHOOK_NAME string = function.outputs.name
output SERVICE_WEBHOOK_HOSTNAME string = function.outputs.hostname
