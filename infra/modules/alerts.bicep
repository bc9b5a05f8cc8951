// What wakes somebody: five rules over the app's log, each a file in infra/queries, and one over what Azure itself counts.
// docs/operations.md says for each what it means and what to do. All are evaluated over a window that is longer than the
// time between two evaluations, because log entries arrive minutes late; a rule that has fired stays fired, and is silent,
// until its window is clean again.

@description('Name of the action group.')
param actionGroupName string

@description('Name of the function app; the names of the rules begin with it.')
param appName string

@description('Resource ID of the function app.')
param appId string

@description('Region.')
param location string

@description('Tags of the resources.')
param tags object

@description('Workspace whose log is watched.')
param workspaceId string

@description('Address to mail; empty for none.')
param email string

var calls = loadTextContent('../queries/calls.kql')
var perApplication = [{ name: 'application', operator: 'Include', values: ['*'] }]

var rules = [
  {
    name: 'refused'
    title: 'Webhook: a call was refused, and its event is lost'
    description: 'A call came without a valid secret. The Marketplace does not send it again.'
    query: '${calls}${loadTextContent('../queries/refused.kql')}'
    severity: 1
    window: 'PT15M'
    frequency: 'PT5M' // events are being lost: the only one that is worth a dearer rule
    dimensions: []
  }
  {
    name: 'server-errors'
    title: 'Webhook: calls have been failing for 30 minutes'
    description: 'An event was answered with 5xx, and nothing was recorded since. The Marketplace tries again for 10 hours; then it is lost.'
    query: '${calls}${loadTextContent('../queries/server-errors.kql')}'
    severity: 1
    window: 'P1D' // with few events, hours may lie between two calls
    frequency: 'PT15M'
    dimensions: []
  }
  {
    name: 'rejected'
    title: 'Webhook: a body was refused'
    description: 'A body with a valid secret is not a notification as it is known. It is kept in ManagedApplicationRejections.'
    query: '${calls}${loadTextContent('../queries/rejected.kql')}'
    severity: 2
    window: 'PT30M'
    frequency: 'PT15M'
    dimensions: []
  }
  {
    name: 'stuck'
    title: 'Webhook: an application is stuck'
    description: 'An application has been Accepted or Deleting for more than two hours.'
    query: '${calls}${loadTextContent('../queries/stuck.kql')}'
    severity: 2
    window: 'P2D' // as far back as a rule can look
    frequency: 'PT15M'
    dimensions: perApplication
  }
  {
    name: 'failed'
    title: 'Webhook: a deployment or a deletion failed'
    description: 'A customer\'s deployment (PUT) or deletion (DELETE) ended with Failed.'
    query: '${calls}${loadTextContent('../queries/failed.kql')}'
    severity: 2
    window: 'PT30M'
    frequency: 'PT15M'
    dimensions: perApplication
  }
]

resource actions 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'webhook'
    enabled: true
    emailReceivers: [
      { name: 'publisher', emailAddress: email, useCommonAlertSchema: true }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: '${appName}-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: rule.title
    description: rule.description
    enabled: true
    severity: rule.severity
    scopes: [workspaceId]
    evaluationFrequency: rule.frequency
    windowSize: rule.window
    autoMitigate: true
    skipQueryValidation: true // in a workspace that has just been made, a table without a row may not be known yet
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: rule.dimensions
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: empty(email) ? [] : [actions.id] }
  }
}]

// A host that does not start logs nothing: its 503 come from Azure's front end. Documentation lists this metric for function
// apps, without a word on whether Flex Consumption's front end fills it while no instance starts.
// https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-web-sites-metrics
resource frontEnd 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${appName}-front-end'
  location: 'global'
  tags: tags
  properties: {
    description: 'Webhook: Azure counts calls answered with 5xx. At least three in the past 6 hours. If no other alert tells why, the host may not start.'
    enabled: true
    severity: 2
    scopes: [appId]
    evaluationFrequency: 'PT30M'
    windowSize: 'PT6H'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'serverErrors'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Web/sites'
          metricName: 'Http5xx'
          skipMetricValidation: true // if the plan lacked the metric, the whole deployment would end here
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 2
        }
      ]
    }
    actions: empty(email) ? [] : [{ actionGroupId: actions.id }]
  }
}
