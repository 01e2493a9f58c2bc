/**
 * Runs inside a machine that was booted with a real systemd, as root: installs, upgrades, breaks and removes the Debian
 * packages that lie in /results. Writes one JSON line per step to the file in its first argument.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { keepAliveLoad } from './callers.ts'
import { startFarSide } from './far-side.ts'
import { ask, config, port } from './guest-mesh.ts'
import { keepJournal, mainPid, serves, state, step, systemctl, until } from './guest-steps.ts'

const home = '/usr/lib/hostmesh'

/** Beside the agent: ports of its own. */
const center = `role: center
host: { address: 127.0.0.1 }
registries: [{ name: files, type: file, directory: /etc/hostmesh/endpoints }]
endpoints: { allowLoopbackEndpoints: true }
metrics: { address: '127.0.0.1:16020' }
readiness: { address: '127.0.0.1:16021' }
admin: { address: off }
relay: { address: '127.0.0.1:15443', allowedNetworks: [127.0.0.1/32] }
`

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Load and provider live in this process: it must not wait for another one. */
function run(program: string, words: readonly string[], variables: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...variables }
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, stdout, stderr }))
  })
}

/** As `apt-get -o Dpkg::Options::=--force-confold` and ansible do: nobody is there to be asked about a conffile. */
const install = (name: string): Promise<Ended> => run('dpkg', ['--force-confold', '--install', `/results/${name}.deb`])

/** Undefined when it ended well. */
function failure({ status, stdout, stderr }: Ended): string | undefined {
  return status === 0 ? undefined : `exit ${status}: ${stdout}${stderr}`
}

/** Keep-alive callers, each of which has had an answer. */
async function servedLoad(): Promise<{ stop: () => Promise<string | undefined> }> {
  const load = await keepAliveLoad(port, 8)
  await load.served
  const before = load.result.answered
  return {
    stop: async () => {
      const { failures, answered } = await load.stop()
      if (failures.length > 0) return `lost ${failures.length} of ${answered}: ${failures[0]}`
      return answered > before ? undefined : 'nothing was answered meanwhile'
    },
  }
}

const current = (): string => readlinkSync(`${home}/current`)

/** Of all processes of the agent, those that do not run the present release. */
async function strangers(): Promise<number[]> {
  const now = await state()
  const pids = [now.pid, ...now.generations.flatMap(({ children }) => children.map((child) => child.pid))]
  return pids.filter((pid) => !readlinkSync(`/proc/${pid}/exe`).startsWith(`${current()}/`))
}

/** Everything on this machine that bears the name, but what the test itself brought. */
async function leftBehind(): Promise<string[]> {
  const found = (await run('find', ['/etc', '/usr', '/var/lib', '/opt', '/run', '-xdev', '-iname', '*hostmesh*']))
    .stdout
  return found.split('\n').filter((path) => path !== '' && !path.startsWith('/var/lib/dpkg/'))
}

// small, so that an upgrade fills it
mkdirSync(home)
await run('mount', ['-t', 'tmpfs', '-o', 'size=190m', 'none', home])
const provider = await startFarSide('provider', false, 18_080)

await step('a package installs an account, a manual, completions and an example, and starts nothing', async () => {
  const problem = failure(await install('first'))
  if (problem !== undefined) return problem
  const lacking = [
    '/etc/hostmesh/agent.yaml',
    '/etc/hostmesh/services.d',
    '/usr/share/man/man1/hostmesh-status.1.gz',
    '/usr/share/bash-completion/completions/hostmesh',
  ].filter((path) => !existsSync(path))
  if (lacking.length > 0) return `not there: ${lacking.join()}`
  if ((await run('id', ['hostmesh'])).status !== 0) return 'no account'
  if ((await run('hostmesh', ['--version'])).stdout !== '0.1.0\n') return 'the command does not run'
  return systemctl('is-active', 'hostmesh').includes('inactive') ? undefined : 'the unit runs'
})

await step('a configured host serves as soon as its unit is started', async () => {
  mkdirSync('/etc/hostmesh/endpoints')
  writeFileSync(
    '/etc/hostmesh/endpoints/orders.yaml',
    'service: orders\nendpoints:\n  - { address: 127.0.0.1, port: 18080 }\n',
  )
  writeFileSync('/etc/hostmesh/agent.yaml', config)
  const said = systemctl('enable', '--now', 'hostmesh')
  if (said.startsWith('failed')) return said
  await until('it serves', serves)
  const status = await ask()
  return status === 200 ? undefined : `answered ${status}`
})

await step('a disk that is full in the middle of an upgrade leaves what runs as it is', async () => {
  const before = current()
  const load = await servedLoad()
  const tried = await install('second')
  const lost = await load.stop()
  await run('mount', ['-o', 'remount,size=900m', home])
  if (tried.status === 0) return 'it was installed'
  if (lost !== undefined) return lost
  if (current() !== before || !existsSync(`${before}/cli/main.js`)) return 'the old release is not what it was'
  return (await strangers()).length === 0 && (await ask()) === 200 ? undefined : 'something else runs'
})

await step('half a package is refused, and what runs is as it was', async () => {
  const before = current()
  const load = await servedLoad()
  const tried = await install('half')
  const lost = await load.stop()
  if (tried.status === 0) return 'it was installed'
  if (!/half\.deb/.test(tried.stderr)) return `said: ${tried.stderr}`
  return lost ?? (current() === before && (await strangers()).length === 0 ? undefined : 'something else runs')
})

await step('dpkg that is killed while it unpacks leaves what runs as it is, and the next run mends it', async () => {
  const before = current()
  const load = await servedLoad()
  const child = spawn('dpkg', ['--force-confold', '--install', '/results/second.deb'], { stdio: 'ignore' })
  const gone = once(child, 'close')
  const example = `${home}/package/LICENSE`
  const { ino } = statSync(example)
  // it writes each file beside the old one and renames them at the end, so the newest of its names tell how far it is
  await until('dpkg has written something', () => existsSync(`${example}.dpkg-new`) || statSync(example).ino !== ino)
  child.kill('SIGKILL')
  await gone
  const lost = await load.stop()
  if (child.signalCode !== 'SIGKILL') return 'it was not interrupted'
  if (lost !== undefined) return lost
  if (current() !== before || !existsSync(`${before}/cli/main.js`)) return 'the old release is not what it was'
  if ((await strangers()).length > 0 || (await ask()) !== 200) return 'something else runs'
  const said = (await run('dpkg', ['--audit'])).stdout
  return said.includes('hostmesh') ? undefined : 'dpkg does not know that it was interrupted'
})

await step(
  'an upgrade of the package is a hot upgrade: nothing is lost, all processes run the new release',
  async () => {
    const before = { release: current(), pid: mainPid() }
    const load = await servedLoad()
    const problem = failure(await install('second'))
    await until('the new generation alone', (now) => serves(now) && now.generations.length === 1)
    const lost = await load.stop()
    if (problem !== undefined) return problem
    if (lost !== undefined) return lost
    if (current() === before.release || mainPid() === before.pid) return 'the old release or the old watchdog'
    if (readFileSync('/etc/hostmesh/agent.yaml', 'utf8') !== config) return 'the edited configuration was replaced'
    const others = await strangers()
    return others.length === 0 ? undefined : `not in the new release: ${others.join()}`
  },
)

await step('a release that does not serve is refused, and the old one serves on', async () => {
  const before = current()
  const load = await servedLoad()
  const tried = await install('broken')
  const lost = await load.stop()
  if (tried.status === 0) return 'it was installed'
  if (!tried.stderr.includes('the old one serves on')) return `said: ${tried.stderr}`
  if (lost !== undefined) return lost
  if (current() !== before) return `current is ${current()}`
  return (await strangers()).length === 0 ? undefined : 'something else runs'
})

await step('the package before goes in again, and releases that nobody needs are gone', async () => {
  const problem = failure(await install('second'))
  if (problem !== undefined) return problem
  await until('it serves', serves)
  const releases = readdirSync(`${home}/releases`)
  return releases.length <= 2 ? undefined : `there are ${releases.join()}`
})

await step(
  'of an agent and a center on one host each decides for itself, and goes on so when it is started again',
  async () => {
    const releaseOf = (unit: string): string =>
      readlinkSync(`/proc/${mainPid(unit)}/exe`)
        .split('/')
        .slice(0, 6)
        .join('/')
    writeFileSync('/etc/hostmesh/center.yaml', center)
    const said = systemctl('start', 'hostmesh-center')
    if (said !== '') return `${said}\n${systemctl('status', 'hostmesh-center')}`
    const before = { agent: releaseOf('hostmesh'), center: releaseOf('hostmesh-center') }
    writeFileSync('/etc/hostmesh/center.yaml', `${center}nonsense: true\n`)
    const load = await servedLoad()
    const tried = await install('third')
    const lost = await load.stop()
    if (lost !== undefined) return lost
    if (tried.status === 0 || !tried.stderr.includes('with the configuration of hostmesh-center'))
      return `said: ${tried.stderr}`
    const given = '/etc/hostmesh/agent.yaml'
    if (readFileSync(given, 'utf8') !== config) return 'the edited configuration was replaced'
    if (!existsSync(`${given}.dpkg-dist`)) return 'the configuration that the package brings is not beside it'
    const after = { agent: releaseOf('hostmesh'), center: releaseOf('hostmesh-center') }
    if (after.agent === before.agent || after.center !== before.center) return JSON.stringify({ before, after })
    if ((await strangers()).length > 0) return 'the agent is not what the command belongs to'
    writeFileSync('/etc/hostmesh/center.yaml', center)
    for (const unit of ['hostmesh', 'hostmesh-center']) {
      const killed = mainPid(unit)
      systemctl('kill', '--kill-who=main', '--signal=SIGKILL', unit)
      await until(
        `${unit} again`,
        () => ![0, killed].includes(mainPid(unit)) && systemctl('is-active', unit) === 'active',
      )
    }
    const again = { agent: releaseOf('hostmesh'), center: releaseOf('hostmesh-center') }
    if (again.agent !== after.agent || again.center !== after.center) return JSON.stringify({ after, again })
    const problem = failure(await run('dpkg', ['--configure', 'hostmesh']))
    if (problem !== undefined) return problem
    const mended = { agent: releaseOf('hostmesh'), center: releaseOf('hostmesh-center') }
    systemctl('stop', 'hostmesh-center')
    return mended.agent === after.agent && mended.center === after.agent ? undefined : JSON.stringify(mended)
  },
)

await step('it is not removed while an application is registered, unless that is forced', async () => {
  writeFileSync('/etc/hostmesh/services.d/web.yaml', 'service: web\nport: 18080\nprotocol: http\n')
  const deadline = performance.now() + 20_000
  while (!(await run('hostmesh', ['registrations', '--json'])).stdout.includes('web'))
    if (performance.now() > deadline) return (await run('hostmesh', ['status'])).stdout
  const tried = await run('dpkg', ['--remove', 'hostmesh'])
  if (tried.status === 0 || !tried.stderr.includes('HOSTMESH_FORCE_REMOVE')) return `was removed: ${tried.stderr}`
  if ((await ask()) !== 200) return 'it serves no more'
  const forced = await run('dpkg', ['--remove', 'hostmesh'], { HOSTMESH_FORCE_REMOVE: 'yes' })
  return failure(forced) ?? (existsSync('/etc/hostmesh/agent.yaml') ? undefined : 'the configuration is gone')
})

await step('a purge leaves nothing', async () => {
  const problem = failure(await run('dpkg', ['--purge', 'hostmesh']))
  if (problem !== undefined) return problem
  await run('umount', [home])
  rmSync(home, { recursive: true, force: true })
  const left = await leftBehind()
  if (left.length > 0) return `left: ${left.join()}`
  return (await run('id', ['hostmesh'])).status === 0 ? 'the account' : undefined
})

await provider.close()
keepJournal()
systemctl('poweroff')
