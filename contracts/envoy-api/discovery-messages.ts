/** The protocol itself. Source: envoy api, service/discovery/v3/discovery.proto; google/rpc/status.proto. */
import type { MessageForms } from './message-form.ts'

export const discoveryMessages: MessageForms = {
  of: 'envoy.service.discovery.v3',
  messages: {
    DiscoveryRequest: {
      version_info: '1 string',
      node: '2 Node',
      resource_names: '3 [string]',
      type_url: '4 string',
      response_nonce: '5 string',
      error_detail: '6 Status',
    },
    DiscoveryResponse: { version_info: '1 string', resources: '2 [any]', type_url: '4 string', nonce: '5 string' },
    DeltaDiscoveryRequest: {
      node: '1 Node',
      type_url: '2 string',
      resource_names_subscribe: '3 [string]',
      resource_names_unsubscribe: '4 [string]',
      initial_resource_versions: '5 map string',
      response_nonce: '6 string',
      error_detail: '7 Status',
    },
    DeltaDiscoveryResponse: {
      system_version_info: '1 string',
      resources: '2 [Resource]',
      type_url: '4 string',
      nonce: '5 string',
      removed_resources: '6 [string]',
    },
    Resource: { version: '1 string', resource: '2 any', name: '3 string' },
  },
}

export const statusMessages: MessageForms = {
  of: 'google.rpc',
  messages: { Status: { code: '1 uint32', message: '2 string' } },
}
