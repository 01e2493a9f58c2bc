/** An operator's conversation with the watchdog over its socket in the run directory (`contracts/handoff.ts`). */
import { connect } from 'node:net'
import { join } from 'node:path'
import { MeshError } from '../contracts/errors.ts'
import { FrameReader, encodeFrame } from '../contracts/frame.ts'
import { type OperatorReply, type OperatorRequest, handoffVersion, maxHandoffFrameBytes } from '../contracts/handoff.ts'
import { runFiles } from '../contracts/run-directory.ts'
import { checkSocket, ownerOf } from './trusted-socket.ts'

/**
 * Asks once and closes. Resolves with the first reply that is not the greeting.
 * Errors: E_ADMIN_UNREACHABLE when no watchdog answers there, E_HANDOFF_TIMEOUT after `timeoutMs`, and the code of a
 * refusal.
 */
export function askWatchdog(
  runDir: string,
  request: Exclude<OperatorRequest, { type: 'operator' }>,
  timeoutMs: number,
): Promise<Exclude<OperatorReply, { type: 'welcome' | 'refused' }>> {
  const path = join(runDir, runFiles.watchdog)
  return new Promise((resolve, reject) => {
    checkSocket(path, ownerOf(runDir))
    const socket = connect(path)
    const reader = new FrameReader(maxHandoffFrameBytes)
    let isSettled = false
    const settle = (act: () => void): void => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      socket.destroy()
      act()
    }
    const fail = (error: MeshError): void => settle(() => reject(error))
    const timer = setTimeout(
      () => fail(new MeshError('E_HANDOFF_TIMEOUT', `${path}: no answer after ${timeoutMs} ms`)),
      timeoutMs,
    )
    socket.on('connect', () => {
      socket.write(encodeFrame({ type: 'operator', link: handoffVersion } satisfies OperatorRequest))
      socket.write(encodeFrame(request))
    })
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) {
          const reply = message as OperatorReply
          if (reply.type === 'welcome') continue
          if (reply.type === 'refused') fail(new MeshError(reply.code, reply.message))
          else settle(() => resolve(reply))
        }
      } catch (error) {
        fail(
          error instanceof MeshError
            ? error
            : new MeshError('E_WIRE', `${path}: cannot read the answer`, { cause: error }),
        )
      }
    })
    socket.on('error', (cause) => fail(unreachable(path, cause)))
    socket.on('close', () =>
      fail(new MeshError('E_ADMIN_UNREACHABLE', `${path}: the watchdog closed without an answer`)),
    )
  })
}

/** What its operator can do about a socket that `connect` did not reach. */
export function unreachable(path: string, cause: NodeJS.ErrnoException): MeshError {
  const why =
    cause.code === 'EACCES' ? "only root and the agent's own user may open it" : 'no watchdog answers; is it running?'
  return new MeshError('E_ADMIN_UNREACHABLE', `${path}: ${why}`, { cause })
}
