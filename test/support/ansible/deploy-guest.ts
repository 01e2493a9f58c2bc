/**
 * Runs inside a machine that was booted with a real systemd, as root: ansible brings this machine from nothing to an
 * upgraded agent, through bad releases and configurations, and away again. Writes one JSON line per step.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { keepAliveLoad } from '../continuity/callers.ts'
import { startFarSide } from '../continuity/far-side.ts'
import { port } from '../continuity/guest-mesh.ts'
import { keepJournal, mainPid, serves, step, systemctl, until } from '../continuity/guest-steps.ts'

const home = '/root/ansible'
const registry = await startEmbeddedRegistry()
const config = {
  host: { address: '127.0.0.1' },
  registries: [
    { name: 'files', type: 'file', directory: '/etc/hostmesh-endpoints' },
    // the probe of a drill is announced there
    { name: 'main', type: 'nacos', servers: [registry.address] },
  ],
  endpoints: { allowLoopbackEndpoints: true },
  outbound: { services: [{ service: 'orders', protocol: 'http', port }] },
  workers: 2,
}

const rule = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'orders' },
  spec: { hosts: ['orders'], http: [{ route: [{ destination: { host: 'orders' } }] }] },
}

interface Played {
  readonly status: number | null
  readonly out: string
  /** Of the recap. */
  readonly changed: number
}

async function play(book: string, variables: object, ...words: string[]): Promise<Played> {
  const { out, status } = await run(readFileSync('/results/ansible', 'utf8'), wordsOf(book, variables, words))
  return { out, status, changed: Number(/^node1\s+: ok=\d+\s+changed=(\d+)/m.exec(out)?.[1] ?? -1) }
}

function wordsOf(book: string, variables: object, words: readonly string[]): string[] {
  const file = `${home}/variables.json`
  writeFileSync(file, JSON.stringify(variables))
  const inventory = words.includes('-i') ? [] : ['-i', `${home}/inventory.json`]
  return [`hostmesh.mesh.${book}`, ...inventory, '-e', `@${file}`, ...words]
}

/**
 * Load and provider live in this process: it must not wait for another one.
 *
 * @param killedAt ends it, with all that it started, as soon as it prints this.
 */
function run(program: string, words: readonly string[], killedAt?: string): Promise<Omit<Played, 'changed'>> {
  const env = { ...process.env, ANSIBLE_COLLECTIONS_PATH: `${home}/collections`, ANSIBLE_NOCOLOR: '1', HOME: '/root' }
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true })
  let out = ''
  let isKilled = false
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      out += bytes.toString()
      if (killedAt === undefined || !out.includes(killedAt) || isKilled) return
      isKilled = true
      process.kill(-child.pid!, 'SIGKILL')
    })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, out }))
  })
}

const variablesOf = (name: string, change: object = {}): object => ({
  agent_package: `/results/${name}.deb`,
  agent_config: { ...config, ...change },
  agent_rules: { orders: [rule] },
  agent_secrets: { 'relay.secret': 'not-used-here-0123456789-0123456789' },
  agent_gate_retries: 1,
})

const deploy = (name: string, change: object = {}, ...words: string[]): Promise<Played> =>
  play('deploy', variablesOf(name, change), ...words)

/** The release that is installed. */
const releaseNow = (): string => readlinkSync('/usr/lib/hostmesh/current')

const tail = ({ out }: Pick<Played, 'out'>): string => out.slice(-2500)

/** What went wrong with calls while `work` ran. */
async function underLoad(work: () => Promise<string | undefined>): Promise<string | undefined> {
  const load = await keepAliveLoad(port, 8)
  await load.served
  const problem = await work()
  const { answered, failures } = await load.stop()
  if (problem !== undefined) return problem
  return failures.length === 0 ? undefined : `lost ${failures.length} of ${answered}: ${failures[0]}`
}

mkdirSync(`${home}/collections/ansible_collections/hostmesh`, { recursive: true })
symlinkSync('/srv/hostmesh-checkout/ansible', `${home}/collections/ansible_collections/hostmesh/mesh`)
const node1 = { ansible_connection: 'local', ansible_python_interpreter: '/usr/bin/python3' }
writeFileSync(`${home}/inventory.json`, JSON.stringify({ hostmesh_agents: { hosts: { node1 } }, hostmesh_centers: {} }))
mkdirSync('/etc/hostmesh-endpoints')
writeFileSync(
  '/etc/hostmesh-endpoints/orders.yaml',
  'service: orders\nendpoints:\n  - { address: 127.0.0.1, port: 18080 }\n',
)
const provider = await startFarSide('provider', false, 18_080)
const agentFile = '/etc/hostmesh/agent.yaml'

await step('a host with nothing gets an agent that serves', async () => {
  const played = await deploy('first')
  if (played.status !== 0) return tail(played)
  await until('it serves', serves)
  return readFileSync(agentFile, 'utf8').includes('allowLoopbackEndpoints: true') ? undefined : 'no configuration'
})

await step('doctor finds it whole, and a drill in a unit of its own loses nothing', async () => {
  const folder = '/run/systemd/system/hostmesh-drill.service.d'
  const command = '/usr/lib/hostmesh/units/hostmesh/bin/hostmesh drill kill-watchdog --yes -c /etc/hostmesh/agent.yaml'
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}/one.conf`, `[Service]\nExecStart=\nExecStart=${command}\n`)
  systemctl('daemon-reload')
  const before = mainPid()
  const problem = await underLoad(async () => {
    const drilled = await run('systemctl', ['start', 'hostmesh-drill'])
    const journal = (await run('journalctl', ['-u', 'hostmesh-drill', '-o', 'cat', '--no-pager'])).out
    return drilled.status === 0 && journal.includes('Drill kill-watchdog') ? undefined : drilled.out + journal
  })
  rmSync(folder, { recursive: true })
  systemctl('daemon-reload')
  if (problem !== undefined) return problem
  await until('it serves', serves)
  return mainPid() === before ? 'the watchdog is the old one' : undefined
})

await step('a second run changes nothing', async () => {
  const played = await deploy('first')
  return played.status === 0 && played.changed === 0 ? undefined : `changed ${played.changed}\n${tail(played)}`
})

await step('check mode shows what would change, and changes nothing', async () => {
  const before = readFileSync(agentFile, 'utf8')
  const played = await deploy('first', { logging: { level: 'debug' } }, '--check', '--diff')
  if (played.status !== 0 || played.changed < 1) return tail(played)
  if (!/^\+\s+level: debug/m.test(played.out)) return `no difference is shown\n${tail(played)}`
  if (played.out.includes('not-used-here')) return 'a secret is shown'
  return readFileSync(agentFile, 'utf8') === before ? undefined : 'it was written'
})

await step('ansible dies before the package that it brought is installed: the next run installs it', async () => {
  const brought = readFileSync('/results/second.deb')
  const installed = releaseNow()
  const ansible = readFileSync('/results/ansible', 'utf8')
  const cut = await run(ansible, wordsOf('deploy', variablesOf('second'), []), 'See whether it is installed')
  if (cut.status === 0 || releaseNow() !== installed) return `it was not cut short\n${tail(cut)}`
  if (!readFileSync('/var/cache/hostmesh/hostmesh.deb').equals(brought)) return `nothing was brought\n${tail(cut)}`
  if (readFileSync('/var/cache/hostmesh/previous.deb').equals(brought)) return 'the way back is the new package'
  const broken = await deploy('broken')
  if (broken.status === 0 || !broken.out.includes('went back to what was there before')) return tail(broken)
  await until('it serves', serves)
  if (releaseNow() !== installed) return `went back to ${releaseNow()}, not to ${installed}`
  const again = await run(ansible, wordsOf('deploy', variablesOf('second'), []), 'See whether it is installed')
  if (again.status === 0) return `it was not cut short again\n${tail(again)}`
  const played = await deploy('second')
  if (played.status !== 0) return tail(played)
  if (releaseNow() === installed) return 'the package that was brought is not installed'
  const back = await deploy('first')
  return back.status === 0 && releaseNow() === installed ? undefined : tail(back)
})

await step('an upgrade loses nothing', () =>
  underLoad(async () => {
    const played = await deploy('second')
    return played.status === 0 ? undefined : tail(played)
  }),
)

await step('a release that does not serve: the host goes back by itself, and nothing is lost', () =>
  underLoad(async () => {
    const before = readFileSync('/var/cache/hostmesh/hostmesh.deb')
    const played = await deploy('broken')
    if (played.status === 0 || !played.out.includes('went back to what was there before')) return tail(played)
    await until('it serves', serves)
    return readFileSync('/var/cache/hostmesh/hostmesh.deb').equals(before) ? undefined : 'the package is another one'
  }),
)

await step('a configuration behind which the host is not whole: it goes back by itself', () =>
  underLoad(async () => {
    const before = readFileSync(agentFile, 'utf8')
    const dead = { name: 'dead', type: 'nacos', servers: ['127.0.0.1:9'] }
    const played = await deploy('second', { registries: [...config.registries, dead] })
    if (played.status === 0 || !played.out.includes('went back to what was there before')) return tail(played)
    await until('it serves', serves)
    return readFileSync(agentFile, 'utf8') === before ? undefined : 'the configuration is another one'
  }),
)

await step('one host of a batch is not well: all of it goes back, and later batches are never touched', () =>
  underLoad(async () => {
    // three names of this machine, one after another in each task
    const names = {
      node1,
      node2: { ...node1, agent_config: { ...config, portt: 7 } },
      node3: { ...node1, agent_rules: { never: [] } },
    }
    const before = readFileSync('/var/cache/hostmesh/hostmesh.deb')
    const variables = { agent_package: '/results/third.deb', hostmesh_batches: [2, 1], agent_gate_retries: 1 }
    const hosts = { hostmesh_agents: { hosts: names, vars: { agent_config: config } } }
    writeFileSync(`${home}/three.json`, JSON.stringify({ ...hosts, hostmesh_centers: {} }))
    const played = await play('deploy', variables, '-i', `${home}/three.json`, '-f', '1')
    if (played.status === 0 || !played.out.includes('of this batch were not well: node2')) return tail(played)
    if (!/^node1\s+: .*failed=1/m.test(played.out) || /^node3\s/m.test(played.out)) return tail(played)
    await until('it serves', serves)
    return readFileSync('/var/cache/hostmesh/hostmesh.deb').equals(before) ? undefined : 'the package is another one'
  }),
)

await step('a configuration that is refused is never written', async () => {
  const before = readFileSync(agentFile, 'utf8')
  const played = await deploy('second', { portt: 7 })
  if (played.status === 0) return tail(played)
  return readFileSync(agentFile, 'utf8') === before ? undefined : 'it was written'
})

await step('uninstalling leaves nothing, and a second time changes nothing', async () => {
  const first = await play('uninstall', {})
  if (first.status !== 0) return tail(first)
  const left = ['/etc/hostmesh', '/var/lib/hostmesh', '/usr/lib/hostmesh', '/var/cache/hostmesh'].filter(existsSync)
  if (left.length > 0) return `left: ${left.join()}`
  const second = await play('uninstall', {})
  return second.status === 0 && second.changed === 0 ? undefined : tail(second)
})

await provider.close()
await registry.close()
keepJournal()
systemctl('poweroff')
