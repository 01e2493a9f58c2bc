import type { EventEmitter } from 'node:events'

/** Resolves when it is closed, however: who is reset hears of an error first, with which `once` would reject. */
export function closing(emitter: EventEmitter): Promise<void> {
  return new Promise((resolve) => emitter.on('error', () => undefined).once('close', () => resolve()))
}
