/**
 * Whether a socket of a running agent may be believed. Whoever can put a socket of its own in its place answers
 * instead, and root, who may open every socket, would read "all right" of a stranger.
 */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '../contracts/errors.ts'
import { distrustOf } from '../native/private-directory.ts'

/**
 * `owner`: the user of the agent; undefined = the one whose socket it is. Passes where the socket cannot be looked at,
 * since it cannot be opened then either. Errors: E_ADMIN_UNREACHABLE.
 */
export function checkSocket(path: string, owner?: number): void {
  const found = ownerOf(path)
  if (found === undefined) return
  const agent = owner ?? found
  const why =
    found !== agent && found !== 0
      ? `it belongs to user ${found}, the agent is user ${agent}`
      : distrustOfFolder(dirname(path), agent)
  if (why !== undefined) throw new MeshError('E_ADMIN_UNREACHABLE', `${path}: the socket is not believed: ${why}`)
}

/** The user whose a file or directory is; undefined where nobody may look. */
export function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid
  } catch {
    return undefined
  }
}

function distrustOfFolder(folder: string, agent: number): string | undefined {
  try {
    const why = distrustOf(folder, agent)
    return why === undefined ? undefined : `${folder}: ${why}`
  } catch {
    return undefined
  }
}
