import { expect } from 'chai'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { earlier, openEarlier } from '../../../../bench/peers/earlier.ts'

/** A checkout whose benchmark builds into `.cache` and takes for granted that it is there. */
function checkout(): string {
  const folder = mkdtempSync(join(tmpdir(), 'earlier-'))
  mkdirSync(join(folder, 'bench/peers'), { recursive: true })
  mkdirSync(join(folder, 'bench/scenarios'))
  writeFileSync(
    join(folder, 'bench/release.ts'),
    `import { writeFileSync } from 'node:fs'
export function buildRelease(log: (line: string) => void): string {
  log('building')
  writeFileSync(new URL('../.cache/built', import.meta.url), '')
  return '/built'
}
`,
  )
  writeFileSync(
    join(folder, 'bench/peers/hostmesh.ts'),
    `export async function startMesh(options: { workerMain: string }) {
  return { port: 1, pids: [], close: async () => undefined, started: options.workerMain }
}
`,
  )
  writeFileSync(join(folder, 'bench/scenarios/index.ts'), 'export const scenarios = []\n')
  return folder
}

describe('an earlier state beside the present one', () => {
  it('is built by its own benchmark once, however often it is started, also in a checkout that never built anything', async () => {
    const folder = checkout()
    try {
      const lines: string[] = []
      const peer = earlier(await openEarlier(folder, (line) => lines.push(line)))
      for (let time = 0; time < 2; time++) {
        const running = await peer.start({ cpus: '0', originPort: 1, mode: 'http', workers: 1, workerMain: '/present' })
        expect(running).to.include({ started: '/built/agent/worker/main.js' })
      }
      expect(lines).to.deep.equal(['building'])
      expect(existsSync(join(folder, '.cache/built'))).to.equal(true)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
