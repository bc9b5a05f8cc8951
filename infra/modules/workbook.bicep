// The page to look at: applications by state, latest events, failures, lag and refused calls, each a file in
// infra/queries. It sees as far back as the log is kept; what is true of every application stands in the tables.

@description('Name of the function app, for the title.')
param appName string

@description('Region.')
param location string

@description('Tags of the workbook.')
param tags object

@description('Workspace that is queried.')
param workspaceId string

@description('Application Insights component that the workbook is listed under.')
param componentId string

var calls = loadTextContent('../queries/calls.kql')

var charts = [
  {
    name: 'states-over-time'
    title: 'Applications by state, at the end of each day'
    query: loadTextContent('../queries/states-over-time.kql')
    visualization: 'linechart'
  }
  {
    name: 'latest-events'
    title: 'Latest events'
    query: loadTextContent('../queries/latest-events.kql')
    visualization: 'table'
  }
  {
    name: 'failures-by-code'
    title: 'Calls that were not recorded, by code'
    query: loadTextContent('../queries/failures-by-code.kql')
    visualization: 'table'
  }
  {
    name: 'lag'
    title: 'Lag between event and receipt, seconds'
    query: loadTextContent('../queries/lag.kql')
    visualization: 'linechart'
  }
  {
    name: 'refused-over-time'
    title: 'Refused calls: events that are lost'
    query: loadTextContent('../queries/refused-over-time.kql')
    visualization: 'barchart'
  }
]

var head = [
  {
    type: 1 // text
    name: 'note'
    content: {
      json: 'What the webhook ${appName} logged. Applications without an event in the chosen time are not counted: the table ManagedApplications knows them all.'
    }
  }
  {
    type: 9 // parameters
    name: 'time'
    content: {
      version: 'KqlParameterItem/1.0'
      parameters: [
        {
          id: 'c1a6b3a5-2f0e-4c0b-9c52-5d1c6d5c3f10'
          version: 'KqlParameterItem/1.0'
          name: 'TimeRange'
          label: 'Time'
          type: 4
          isRequired: true
          value: { durationMs: 2592000000 }
          typeSettings: {
            selectableValues: [
              { durationMs: 86400000 }
              { durationMs: 604800000 }
              { durationMs: 2592000000 }
              { durationMs: 7776000000 }
            ]
          }
        }
      ]
      style: 'pills'
      queryType: 0
      resourceType: 'microsoft.operationalinsights/workspaces'
    }
  }
]

var queries = [for chart in charts: {
  type: 3 // a query
  name: chart.name
  content: {
    version: 'KqlItem/1.0'
    query: '${calls}${chart.query}'
    size: 0
    title: chart.title
    timeContextFromParameter: 'TimeRange'
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    crossComponentResources: [workspaceId]
    visualization: chart.visualization
  }
}]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(componentId, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Managed Application webhook'
    category: 'workbook'
    sourceId: componentId
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat(head, queries)
      fallbackResourceIds: [workspaceId]
    })
  }
}
