/** A server of control that is to listen. */
import type { ListenOptions, Server } from 'node:net'
import { MeshError } from '../../contracts/errors.ts'
import { systemReason } from './config/yaml-file.ts'

/**
 * Rejects with E_LISTEN_IN_USE or E_LISTEN_DENIED, and may be called again then. What goes wrong with a connection
 * later, when it is accepted, does not end the process.
 *
 * @param name as the message begins
 */
export function listening(server: Server, name: string, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      server.off('listening', done)
      const isTaken = cause.code === 'EADDRINUSE'
      const reason = isTaken ? 'taken by another process' : systemReason(cause)
      const message = `${name}: cannot listen: ${reason}; free it or choose another address`
      reject(new MeshError(isTaken ? 'E_LISTEN_IN_USE' : 'E_LISTEN_DENIED', message, { cause }))
    }
    const done = (): void => {
      server.off('error', failed)
      server.on('error', () => undefined)
      resolve()
    }
    server.once('error', failed)
    server.once('listening', done)
    server.listen(where)
  })
}
