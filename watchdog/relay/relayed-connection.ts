/**
 * One connection through the relay. HTTP carries one request, so that a caller is back with the workers as soon as they
 * are; TCP stays until one side ends.
 */
import type net from 'node:net'
import { HttpExchange } from './http-exchange.ts'
import type { RelayedDeps } from './relayed-deps.ts'
import { relayTcp } from './tcp-relay.ts'
import { Wire } from './wire.ts'

/** Takes a paused socket with `allowHalfOpen`. Nothing is left open when both sides have closed. */
export function relayConnection(socket: net.Socket, deps: RelayedDeps): void {
  socket.setNoDelay(true)
  const downstream = Wire.accepted(socket)
  if (deps.listener.protocol === 'http') void new HttpExchange(downstream, deps)
  else relayTcp(downstream, deps)
}
