/**
 * Ports for a real Nacos server, which takes four of them from one number P: P HTTP, P + 1000 gRPC, P + 1001 gRPC
 * between servers, P - 1000 Raft. P lies in 24000..24990, so that no port of one server can be that of another, below
 * the range from which Linux takes ephemeral ports and beside the agent's own ranges. A reservation lives as a folder
 * that names its owner, until `release()` or the owner's end.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface NacosPorts {
  readonly http: number
  readonly grpc: number
  release(): void
}

const first = 24_000
const count = 100
const spacing = 10

export async function reserveNacosPorts(): Promise<NacosPorts> {
  const folder = join(tmpdir(), 'hostmesh-nacos-ports')
  mkdirSync(folder, { recursive: true })
  const start = process.pid % count
  for (let step = 0; step < count; step++) {
    const http = first + ((start + step) % count) * spacing
    const mark = join(folder, String(http))
    if (!reserve(mark)) continue
    const release = (): void => rmSync(mark, { recursive: true, force: true })
    const wanted = [http, http + 1000, http + 1001, http - 1000]
    if ((await Promise.all(wanted.map(isFree))).every(Boolean)) return { http, grpc: http + 1000, release }
    release()
  }
  throw new Error(`no four free ports for Nacos from ${first} on`)
}

function reserve(mark: string): boolean {
  try {
    mkdirSync(mark)
  } catch {
    if (isOwned(mark)) return false
    rmSync(mark, { recursive: true, force: true })
    try {
      mkdirSync(mark)
    } catch {
      return false
    }
  }
  writeFileSync(join(mark, 'pid'), String(process.pid))
  return true
}

function isOwned(mark: string): boolean {
  let pid: number
  try {
    pid = Number(readFileSync(join(mark, 'pid'), 'utf8'))
  } catch {
    // just made by somebody who has not signed it yet
    return true
  }
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)))
  })
}
