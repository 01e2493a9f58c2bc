/** The machine under the agent: descriptors, disk. */
import { readFileSync, readdirSync, statfsSync } from 'node:fs'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { ChildState } from '../../contracts/handoff.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

/** Of the descriptors that a process may have. */
const tightShare = 0.9
const leastFreeBytes = 64 * 1024 * 1024
const leastFreeShare = 0.05

/** Of every process of the generation that serves. */
export function fileFindings({ config }: Facts, children: readonly ChildState[], proc = '/proc'): Finding[] {
  const found = children.flatMap((child): Finding[] => {
    const name = child.role === 'worker' ? `worker ${child.index}` : child.role
    let limit: number
    try {
      const text = readFileSync(`${proc}/${child.pid}/limits`, 'latin1')
      limit = Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Infinity)
    } catch {
      return []
    }
    const used = count(`${proc}/${child.pid}/fd`)
    const proof = `${proc}/${child.pid}/limits: Max open files ${limit}${used === undefined ? '' : `, ${used} are open`}`
    const next = 'raise LimitNOFILE= of the unit (systemctl edit), then restart it'
    if (used !== undefined && used > limit * tightShare)
      return [
        { link: 'files', state: 'bad', says: `${name} may have ${limit} descriptors and has ${used}`, proof, next },
      ]
    const wanted = 2 * (config?.limits.maxConnections ?? 0)
    if (child.role === 'worker' && limit < wanted)
      return [
        {
          link: 'files',
          state: 'warning',
          says: `${name} may have ${limit} descriptors; limits.maxConnections can need ${wanted}`,
          proof,
          next,
        },
      ]
    return []
  })
  if (found.length > 0 || children.length === 0) return found
  return [{ link: 'files', state: 'good', says: 'every process may open as many files as it can need' }]
}

function count(directory: string): number | undefined {
  try {
    return readdirSync(directory).length
  } catch {
    return undefined
  }
}

export function diskFindings(config: AgentConfig): Finding[] {
  try {
    const { bavail, blocks, bsize, ffree, files } = statfsSync(config.stateDir)
    const free = bavail * bsize
    const proof = `${config.stateDir}: ${Math.round(free / 1e6)} MB of ${Math.round((blocks * bsize) / 1e6)} MB are free`
    const next = `df -h ${config.stateDir}; make room`
    if (files > 0 && ffree === 0)
      return [
        { link: 'disk', state: 'bad', says: 'no inode is left for the state', proof, next: `df -i ${config.stateDir}` },
      ]
    if (free === 0) return [{ link: 'disk', state: 'bad', says: 'the disk of the state is full', proof, next }]
    if (free < leastFreeBytes || free < blocks * bsize * leastFreeShare)
      return [{ link: 'disk', state: 'warning', says: 'the disk of the state is almost full', proof, next }]
    return [{ link: 'disk', state: 'good', says: `${Math.round(free / 1e6)} MB are free for the state` }]
  } catch (error) {
    const proof = `statfs ${config.stateDir}: ${(error as NodeJS.ErrnoException).code}`
    const next = `ls -ld ${config.stateDir}; df -h ${config.stateDir}`
    return [{ link: 'disk', state: 'unknown', says: 'the state directory cannot be looked at', proof, next }]
  }
}
