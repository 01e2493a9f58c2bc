/** A playbook of the collection, run from the network of booted machines. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { BootedHosts } from './booted-hosts.ts'

const checkout = join(import.meta.dirname, '../../..')

export interface Played {
  readonly status: number | null
  readonly out: string
  readonly seconds: number
  /** By host, what its line of the recap counts: `changed`, `failed`, `unreachable`, … */
  readonly recap: ReadonlyMap<string, Readonly<Record<string, number>>>
}

/** The program, where a booted machine sees it, too: it has a /tmp of its own. */
export function ansibleProgram(): string | undefined {
  const path = [join(checkout, '.cache/ansible/bin'), process.env['PATH']].join(delimiter)
  const env = { ...process.env, PATH: path }
  const found = spawnSync('sh', ['-c', 'command -v ansible-playbook'], { encoding: 'utf8', env }).stdout.trim()
  return found === '' || found.startsWith('/tmp/') ? undefined : realpathSync(found)
}

export class Playbooks {
  private readonly folder: string
  private readonly program: string
  private readonly hosts: BootedHosts

  constructor(folder: string, program: string, hosts: BootedHosts) {
    this.folder = folder
    this.program = program
    this.hosts = hosts
    mkdirSync(join(folder, 'collections/ansible_collections/hostmesh'), { recursive: true })
    symlinkSync(join(checkout, 'ansible'), join(folder, 'collections/ansible_collections/hostmesh/mesh'))
  }

  async play(book: string, inventory: object, ...words: string[]): Promise<Played> {
    const file = join(this.folder, 'inventory.json')
    writeFileSync(file, JSON.stringify(inventory))
    const [program, argv] = this.hosts.from(this.program, `hostmesh.mesh.${book}`, '-i', file, ...words)
    const from = performance.now()
    const { out, status } = await this.run(program, argv)
    const seconds = Math.round((performance.now() - from) / 1000)
    return { out, status, seconds, recap: recapOf(out) }
  }

  private run(program: string, argv: readonly string[]): Promise<Pick<Played, 'out' | 'status'>> {
    const own = {
      ANSIBLE_COLLECTIONS_PATH: join(this.folder, 'collections'),
      ANSIBLE_NOCOLOR: '1',
      ANSIBLE_PIPELINING: 'True',
      ANSIBLE_HOST_KEY_CHECKING: 'False',
      HOME: this.folder,
    }
    const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...own } })
    let out = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (out += bytes.toString()))
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (status) => resolve({ status, out }))
    })
  }
}

function recapOf(out: string): Played['recap'] {
  const lines = (out.split('PLAY RECAP')[1] ?? '').matchAll(/^(\S+)\s+: (ok=.*)$/gm)
  return new Map(
    [...lines].map(([, host, counts]) => [
      host!,
      Object.fromEntries([...counts!.matchAll(/(\w+)=(\d+)/g)].map(([, name, count]) => [name!, Number(count)])),
    ]),
  )
}
