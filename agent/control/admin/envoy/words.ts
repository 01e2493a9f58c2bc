/**
 * Small messages that many of Envoy's dumps hold, in the JSON form of protocol buffers: 64-bit numbers and durations
 * are texts.
 */
import { withoutBrackets } from '../../../../contracts/ip-literal.ts'

export type SocketAddress =
  | { readonly socket_address: { readonly address: string; readonly port_value: number } }
  | { readonly pipe: { readonly path: string } }

/** `address`: an IP literal, or the path of a unix socket. */
export function socketAddress(address: string, port: number): SocketAddress {
  if (address.startsWith('/')) return { pipe: { path: address } }
  return { socket_address: { address, port_value: port } }
}

/** Of `10.0.0.1:8080` or `[::1]:8080`. */
export function socketAddressOf(endpoint: string): SocketAddress {
  const colon = endpoint.lastIndexOf(':')
  return socketAddress(withoutBrackets(endpoint.slice(0, colon)), Number(endpoint.slice(colon + 1)))
}

export function seconds(ms: number): string {
  return `${ms / 1000}s`
}

/** `@type` of an API message. */
export function typed<T extends object>(name: string, message: T): { readonly '@type': string } & T {
  return { '@type': `type.googleapis.com/${name}`, ...message }
}

/** The name of a destination, as workers use it. */
export function clusterName(service: string, subset = '', port = ''): string {
  return `${service}|${subset}|${port}`
}
