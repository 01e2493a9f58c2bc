/** The packed SDK as an application has it: in `node_modules`, under a Node that is not ours. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { packSdk } from '../../../scripts/sdk/main.ts'

/** Packs and unpacks it below `folder`; answers the folder of an application beside it. */
export function installSdk(folder: string): string {
  const target = join(folder, 'node_modules/@hostmesh/sdk')
  mkdirSync(target, { recursive: true })
  const ran = spawnSync('tar', ['xzf', packSdk(folder), '--strip-components=1', '-C', target], { encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(ran.stderr)
  return folder
}

/** The machine's own Node, by which npm runs: any from 20 on. */
export function usersNode(): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(folder, 'node')
    if (!folder.includes('node_modules') && existsSync(node)) return node
  }
  throw new Error('there is no node in PATH beside the one that npm brings')
}
