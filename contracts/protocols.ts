/** The one list of protocol names: what applications speak, and what the live connections of callers speak. */

declare const rpcMark: unique symbol

/** The name of a private RPC: one of `rpcProtocols`, or of a protocol that the configuration describes. */
export type RpcProtocol = string & { readonly [rpcMark]: true }

const webProtocols = ['http', 'http2', 'grpc', 'tcp', 'udp'] as const

/** What an application speaks, and so what a listener accepts for it. */
export type AppProtocol = (typeof webProtocols)[number] | RpcProtocol

/** Private RPC whose codec is built in. */
export const rpcProtocols: readonly RpcProtocol[] = ['bolt', 'dubbo', 'thrift'].map((name) => name as RpcProtocol)

function isRpc(protocol: AppProtocol): protocol is RpcProtocol {
  return !webProtocols.some((one) => one === protocol)
}

/**
 * What is written of an instance in a registry; undefined = no protocol of ours. `described`: names of protocols that
 * the configuration describes.
 */
export function protocolOfWord(
  word: string | undefined,
  described: ReadonlySet<string> = nobody,
): AppProtocol | undefined {
  if (word === undefined) return undefined
  const isKnown = rpcProtocols.some((one) => one === word) || described.has(word)
  return isKnown ? (word as RpcProtocol) : webProtocols.find((one) => one === word)
}

const nobody: ReadonlySet<string> = new Set()

/** Of a shared port: what its callers speak is found by their first bytes. */
export const detected = 'auto' as RpcProtocol

/** What a described protocol may be called. */
export const rpcNamePattern = /^[a-z][a-z0-9-]{0,31}$/

/** Whether its messages are read, so that routes, filters and metrics per request apply; else it passes as bytes. */
export function hasMessages(protocol: AppProtocol): boolean {
  return protocol !== 'tcp' && protocol !== 'udp'
}

/** Whether requests say how often they passed an agent (`Via`); undefined = not known, it is nobody's yet. */
export function countsPasses(protocol: AppProtocol | undefined): boolean {
  return protocol === undefined || (hasMessages(protocol) && !isRpc(protocol))
}

/** What requests to an endpoint are said in. HTTP/2 by prior knowledge. */
export type EndpointProtocol = 'http1' | 'http2' | RpcProtocol

/**
 * `upgrades`: a rule says that endpoints which would be spoken to in HTTP/1.1 take HTTP/2 (Istio's h2UpgradePolicy).
 */
export function endpointProtocol(protocol: AppProtocol, upgrades: boolean): EndpointProtocol {
  if (isRpc(protocol)) return protocol
  return protocol === 'http2' || protocol === 'grpc' || (protocol === 'http' && upgrades) ? 'http2' : 'http1'
}

/**
 * What the connection of a caller speaks. A `websocket` was an `http1` connection before its upgrade; an `http2`
 * connection begins as `http1`, where its preface is found.
 */
const connectionProtocols = ['http1', 'http2', 'rpc', 'tcp', 'websocket'] as const
export type ConnectionProtocol = (typeof connectionProtocols)[number]

/** What a connection begins with (HTTP/2 is found by its preface) on a listener for an application's protocol. */
export function firstProtocol(protocol: AppProtocol): ConnectionProtocol {
  if (protocol === 'tcp' || protocol === 'udp') return 'tcp'
  return isRpc(protocol) ? 'rpc' : 'http1'
}
