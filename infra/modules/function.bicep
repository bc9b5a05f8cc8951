// The function app on the Flex Consumption plan. It holds no credential: storage, vault and telemetry are reached by its
// identity, and the secret of its URL is a reference that App Service resolves.
//
// There is no diagnostic setting for the app, on purpose. Its log goes to Application Insights already, and the category
// AppServiceHTTPLogs (also part of allLogs) writes each call's query string, CsUriQuery: the secret, in plain text.

@description('Name of the function app.')
param name string

@description('Name of its plan.')
param planName string

@description('Region.')
param location string

@description('Tags of the resources.')
param tags object

@description('Resource ID of the app\'s identity.')
param identityId string

@description('Client ID of the app\'s identity.')
param identityClientId string

@description('Blob container that the deployed package lies in.')
param deploymentContainerUri string

@description('Blob service of the storage account, for the host.')
param blobServiceUri string

@description('Table service of the storage account, for the app.')
param tableServiceUri string

@description('Address of the vault, ending in a slash.')
param vaultUri string

@description('Where telemetry goes. An address, not a credential: the component takes identities only.')
param applicationInsightsConnectionString string

@description('Calls that one instance serves at once.')
param perInstanceConcurrency int

@description('Instances at most.')
param maximumInstanceCount int

@description('Subnet for outgoing traffic; empty for none.')
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2025-05-01' = {
  // checkov:skip=CKV_AZURE_225: zones would keep instances running that do nothing; the Marketplace tries again for 10 hours
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-05-01' = {
  // checkov:skip=CKV_AZURE_17: the Marketplace presents no client certificate
  // checkov:skip=CKV_AZURE_222: the Marketplace calls over the internet, from addresses that are not published
  // checkov:skip=CKV_AZURE_212: the plan scales to zero; the Marketplace tries again for 10 hours
  // checkov:skip=CKV_AZURE_213: Flex Consumption has no health check path; alerts watch the answers instead
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUri
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: maximumInstanceCount
        triggers: { http: { perInstanceConcurrency: perInstanceConcurrency } }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
      http20Enabled: true
      appSettings: [
        // For the host: its blobs. It needs no queue, as the only trigger is HTTP. The app finds its tables by the rest.
        { name: 'AzureWebJobsStorage__blobServiceUri', value: blobServiceUri }
        { name: 'AzureWebJobsStorage__tableServiceUri', value: tableServiceUri }
        { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
        { name: 'AzureWebJobsStorage__clientId', value: identityClientId }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: applicationInsightsConnectionString }
        { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${identityClientId};Authorization=AAD' }
        // Without a version: the latest counts, after a refresh or within a day.
        { name: 'WEBHOOK_SECRET', value: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/webhook-secret)' }
        { name: 'WEBHOOK_SECRET_PREVIOUS', value: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/webhook-secret-previous)' }
      ]
    }
  }
}

// Deployments sign in by identity; a password that exists is one that can leak.
resource ftpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-05-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-05-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

output id string = app.id
output name string = app.name
output hostname string = app.properties.defaultHostName
