/** The one list of protocol names: what applications speak, and what the live connections of callers speak. */

/** What an application speaks, and so what a listener accepts for it. */
export const appProtocols = ['http', 'http2', 'grpc', 'tcp'] as const
export type AppProtocol = (typeof appProtocols)[number]

/** What is written of an instance in a registry; undefined = no protocol of ours. */
export function protocolOfWord(word: string | undefined): AppProtocol | undefined {
  return appProtocols.find((one) => one === word)
}

/** Whether its messages are read, so that routes, filters and metrics per request apply; else it passes as bytes. */
export function hasMessages(protocol: AppProtocol): boolean {
  return protocol !== 'tcp'
}

/** What requests to an endpoint are said in. HTTP/2 by prior knowledge. */
export type EndpointProtocol = 'http1' | 'http2'

/**
 * `upgrades`: a rule says that endpoints which would be spoken to in HTTP/1.1 take HTTP/2 (Istio's h2UpgradePolicy).
 */
export function endpointProtocol(protocol: AppProtocol, upgrades: boolean): EndpointProtocol {
  return protocol === 'http2' || protocol === 'grpc' || (protocol === 'http' && upgrades) ? 'http2' : 'http1'
}

/**
 * What the connection of a caller speaks. A `websocket` was an `http1` connection before its upgrade; an `http2`
 * connection begins as `http1`, where its preface is found.
 */
export const connectionProtocols = ['http1', 'http2', 'tcp', 'websocket'] as const
export type ConnectionProtocol = (typeof connectionProtocols)[number]

/** What a connection begins with (HTTP/2 is found by its preface) on a listener for an application's protocol. */
export const firstProtocol: Readonly<Record<AppProtocol, ConnectionProtocol>> = {
  http: 'http1',
  http2: 'http1',
  grpc: 'http1',
  tcp: 'tcp',
}
