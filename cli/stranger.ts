/**
 * Whether the process at the other end of a connection to an admin port is the agent. A port is anybody's while the
 * agent is down, so it is believed only where its user is the one that the run directory belongs to, or root.
 */
import type { Socket } from 'node:net'
import { LocalCallers } from '../guard/local-callers.ts'
import { ownerOf } from './trusted-socket.ts'

/**
 * Why it is not the agent, or why that cannot be told; undefined = it is. Right for a connection that has been
 * answered: one that waits to be accepted has no owner yet.
 */
export function strangerAt(connection: Socket, runDir: string): string | undefined {
  const owner = ownerOf(runDir)
  if (owner === undefined)
    return `${runDir} cannot be looked at, so nobody can tell whether it is the agent who answers here`
  const callers = new LocalCallers(() => performance.now())
  try {
    const uid = callers.uidOf(connection)
    if (uid === owner || uid === 0) return undefined
    return uid === undefined
      ? `whose process answers here cannot be told; use the user of the agent, or root`
      : `user ${uid} answers here, the agent is user ${owner}; its answer is not shown`
  } finally {
    callers.close()
  }
}
