/**
 * Runs inside a machine that was booted with a real systemd, as root: installs the units, does what an operator and bad
 * luck do, and writes one JSON line per step to the file in its first argument. The second argument is the boot,
 * `first` or `second`.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import type { WatchdogState } from '../../../contracts/handoff.ts'
import { productFolders } from '../../../scripts/structure/parts.ts'
import { keepAliveLoad, newConnectionLoad } from './callers.ts'
import { startFarSide } from './far-side.ts'
import { ask, config, port } from './guest-mesh.ts'
import { isAlive, keepJournal, mainPid, serves, state, step, systemctl, until } from './guest-steps.ts'

const boot = process.argv[3] ?? 'first'
const root = join(import.meta.dirname, '../../..')

/** A second release: its own code, the packages of the first. */
function releaseIn(folder: string): string {
  mkdirSync(folder, { recursive: true })
  for (const part of [...productFolders, 'bin', 'package.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

function pointTo(release: string): void {
  symlinkSync(release, '/opt/hostmesh/current.new')
  renameSync('/opt/hostmesh/current.new', '/opt/hostmesh/current')
}

/** The status of a call over the shared port, or why there is none. */
function askByName(host: string, at: number): Promise<number | string> {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port: at, headers: { host }, agent: false }, (reply) => {
      reply.resume()
      resolve(reply.statusCode ?? 0)
    }).on('error', (error) => resolve(error.message))
  })
}

const command = '/opt/hostmesh/current/bin/hostmesh'

/** All is right, and each worker listens at the port of the socket unit. */
async function portsAreShared(): Promise<boolean> {
  const answerOf = (...words: string[]): string =>
    spawnSync(command, [...words, '-c', '/etc/hostmesh/agent.yaml', '--json'], { encoding: 'utf8' }).stdout
  const { allRight } = JSON.parse(answerOf('status')) as { allRight: boolean }
  const sockets = spawnSync('ss', ['-Hltnp', 'sport', '=', ':15001'], { encoding: 'utf8' }).stdout
  const workers = (await state()).generations[0]!.children.filter(({ role }) => role === 'worker')
  return allRight && workers.every(({ pid }) => sockets.includes(`pid=${pid},`))
}

const provider = await startFarSide('provider', false, 18_080)

if (boot === 'first') {
  await step('starts, and is started only when it serves', async () => {
    execFileSync('useradd', ['--system', 'hostmesh'])
    mkdirSync('/opt/hostmesh', { recursive: true })
    symlinkSync(root, '/opt/hostmesh/current')
    mkdirSync('/etc/hostmesh/endpoints', { recursive: true })
    writeFileSync(
      '/etc/hostmesh/endpoints/orders.yaml',
      'service: orders\nendpoints:\n  - { address: 127.0.0.1, port: 18080 }\n',
    )
    writeFileSync('/etc/hostmesh/agent.yaml', config)
    copyFileSync(join(root, 'systemd/hostmesh.service'), '/etc/systemd/system/hostmesh.service')
    systemctl('daemon-reload')
    systemctl('enable', 'hostmesh')
    const said = systemctl('start', 'hostmesh')
    if (said !== '') return said
    await until('it serves', serves)
    const status = await ask()
    return status === 200 ? undefined : `answered ${status}`
  })

  await step('the journal has the fields of each process beside the words', async () => {
    for (const name of ['watchdog', 'control', 'worker']) {
      const query = ['-u', 'hostmesh', `HOSTMESH_PROCESS=${name}`, '-n', '1', '-o', 'json', '--no-pager']
      const deadline = performance.now() + 10_000
      let found = ''
      while (found === '' && performance.now() < deadline)
        found = execFileSync('journalctl', query, { encoding: 'utf8' })
      if (found === '')
        return `no entry of ${name}: ${String(execFileSync('journalctl', ['-u', 'hostmesh', '-n', '20']))}`
      const entry = JSON.parse(found) as Record<string, string>
      const isWhole =
        !entry['MESSAGE']!.startsWith('{') &&
        entry['SYSLOG_IDENTIFIER'] === 'hostmesh' &&
        /^[2-7]$/.test(entry['PRIORITY']!) &&
        (name === 'watchdog' || entry['HOSTMESH_GENERATION'] === '1')
      if (!isWhole) return `entry of ${name}: ${found}`
    }
    return undefined
  })

  await step('a killed watchdog is started again by systemd and adopts what runs, and nothing is lost', async () => {
    const before = await until('it serves', serves)
    const load = await keepAliveLoad(port, 8)
    process.kill(mainPid(), 'SIGKILL')
    const after = await until(
      'adopted',
      (now) => now.pid !== before.pid && now.isAdopted && serves(now) && now.heldShards >= 2,
    )
    const { failures, answered } = await load.stop()
    const pids = (now: WatchdogState): string =>
      now.generations[0]!.children.map((child) => child.pid)
        .sort((one, other) => one - other)
        .join()
    if (pids(before) !== pids(after)) return `other processes: ${pids(before)} and ${pids(after)}`
    return failures.length === 0 && answered > 0 ? undefined : `lost ${failures.length} of ${answered}: ${failures[0]}`
  })

  await step('a watchdog that hangs is noticed by systemd and replaced, and nothing is lost', async () => {
    const before = await until('it serves', serves)
    const load = await keepAliveLoad(port, 4, '/slow/50')
    // before it has told systemd that it is ready, the time for a start counts, not the one between signs of life
    await until('systemd knows that it runs', () => systemctl('is-active', 'hostmesh') === 'active')
    process.kill(before.pid, 'SIGSTOP')
    await until('another watchdog', (now) => now.pid !== before.pid && now.isAdopted && serves(now), 60_000)
    const { failures } = await load.stop()
    return failures.length === 0 ? undefined : `lost ${failures.length}: ${failures[0]}`
  })

  await step(
    'a watchdog that hangs while it starts is replaced when its time is over, and nothing is lost',
    async () => {
      mkdirSync('/etc/systemd/system/hostmesh.service.d')
      writeFileSync('/etc/systemd/system/hostmesh.service.d/test.conf', '[Service]\nTimeoutStartSec=10\n')
      systemctl('daemon-reload')
      const before = await until('it serves', serves)
      const control = before.generations[0]!.children.find((child) => child.role === 'control')!.pid
      const load = await keepAliveLoad(port, 4, '/slow/50')
      // without its control the next watchdog is not ready
      process.kill(control, 'SIGSTOP')
      process.kill(before.pid, 'SIGKILL')
      const hung = await until('adopted', (now) => now.pid !== before.pid && now.isAdopted && serves(now))
      process.kill(hung.pid, 'SIGSTOP')
      const was = systemctl('is-active', 'hostmesh')
      process.kill(control, 'SIGCONT')
      await until('a third watchdog', (now) => now.pid !== hung.pid && now.isAdopted && serves(now), 60_000)
      const { failures, answered } = await load.stop()
      rmSync('/etc/systemd/system/hostmesh.service.d', { recursive: true })
      systemctl('daemon-reload')
      await until('systemd knows that it runs', () => systemctl('is-active', 'hostmesh') === 'active')
      if (!was.includes('activating')) return `it was ${was} when it hung`
      return failures.length === 0 && answered > 0
        ? undefined
        : `lost ${failures.length} of ${answered}: ${failures[0]}`
    },
  )

  await step(
    'after the death of every process its sockets come back from the store, with the callers in their queues',
    async () => {
      const before = await until('it serves', serves)
      systemctl('kill', '--kill-who=all', '--signal=SIGKILL', 'hostmesh')
      const fresh = newConnectionLoad(port, 4)
      await until('it serves again', (now) => now.pid !== before.pid && serves(now), 60_000)
      const { failures, answered } = await fresh.stop()
      const refused = failures.filter((failure) => failure === 'ECONNREFUSED')
      return refused.length === 0 && answered > 0 ? undefined : `refused ${refused.length}, answered ${answered}`
    },
  )

  await step('systemctl reload is a hot restart that loses nothing', async () => {
    const before = await until('it serves', serves)
    const load = await keepAliveLoad(port, 8)
    const said = systemctl('reload', 'hostmesh')
    await until(
      'a new generation alone',
      (now) =>
        serves(now) &&
        now.generations.length === 1 &&
        now.generations[0]!.generation > before.generations[0]!.generation,
    )
    const { failures } = await load.stop()
    return said === '' && failures.length === 0 ? undefined : `${said} lost ${failures.length}: ${failures[0]}`
  })

  await step('systemctl reload takes up the release that the link leads to now, and loses nothing', async () => {
    const before = await until('it serves', serves)
    const load = await keepAliveLoad(port, 8)
    pointTo(releaseIn('/opt/hostmesh/next'))
    const said = systemctl('reload', 'hostmesh')
    const after = await until('the new generation alone', (now) => serves(now) && now.generations.length === 1)
    const { failures } = await load.stop()
    if (said !== '' || failures.length > 0) return `${said} lost ${failures.length}: ${failures[0]}`
    if (after.pid !== before.pid) return 'another watchdog'
    const others = after.generations[0]!.children.filter(
      (child) => !readFileSync(`/proc/${child.pid}/cmdline`, 'latin1').includes('/opt/hostmesh/next/agent/'),
    )
    return others.length === 0 ? undefined : 'some process runs the old release'
  })

  await step('a release that does not start is refused by systemctl reload and changes nothing', async () => {
    const before = await until('it serves', serves)
    const broken = releaseIn('/opt/hostmesh/broken')
    writeFileSync(join(broken, 'agent/worker/start.ts'), 'process.exit(13)\n')
    pointTo(broken)
    const load = await keepAliveLoad(port, 8)
    const said = systemctl('reload', 'hostmesh')
    const { failures } = await load.stop()
    pointTo('/opt/hostmesh/next')
    const after = await until('it serves', serves)
    if (!said.startsWith('failed')) return 'the reload was accepted'
    if (failures.length > 0) return `lost ${failures.length}: ${failures[0]}`
    return after.generations[0]!.generation === before.generations[0]!.generation ? undefined : 'another generation'
  })

  await step('a bad configuration is refused by systemctl reload and changes nothing', async () => {
    const before = await until('it serves', serves)
    writeFileSync('/etc/hostmesh/agent.yaml', `${config}nonsense: true\n`)
    const said = systemctl('reload', 'hostmesh')
    writeFileSync('/etc/hostmesh/agent.yaml', config)
    const after = await state()
    if (!said.startsWith('failed')) return 'the reload was accepted'
    return after.generations[0]!.generation === before.generations[0]!.generation
      ? undefined
      : 'a new generation was started'
  })

  await step('systemctl stop leaves no process, and it starts again', async () => {
    const before = await until('it serves', serves)
    systemctl('stop', 'hostmesh')
    const left = before.generations[0]!.children.filter((child) => isAlive(child.pid))
    if (left.length > 0) return `left: ${left.map((child) => child.pid).join()}`
    systemctl('start', 'hostmesh')
    await until('it serves', serves)
    return (await ask()) === 200 ? undefined : 'no answer'
  })

  await step('the socket unit opens the shared port before the agent runs, and a caller waits', async () => {
    await until('it serves', serves)
    systemctl('stop', 'hostmesh')
    copyFileSync(join(root, 'systemd/hostmesh.socket'), '/etc/systemd/system/hostmesh.socket')
    systemctl('daemon-reload')
    const said = systemctl('start', 'hostmesh.socket')
    if (said !== '') return said
    const status = await askByName('orders', 15_001)
    if (status !== 200) return `the caller that waited: ${status}`
    await until('it serves', serves)
    // the unit's socket is root's: no worker can bind a share of that port beside it
    if ((await portsAreShared()) && systemctl('reload', 'hostmesh') === '' && (await portsAreShared())) return undefined
    return spawnSync(command, ['status', '-c', '/etc/hostmesh/agent.yaml'], { encoding: 'utf8' }).stdout
  })

  await step('a center runs as its unit and its example are shipped', async () => {
    systemctl('stop', 'hostmesh.socket', 'hostmesh')
    const example = readFileSync(join(root, 'examples/center.yaml'), 'utf8')
    // this machine has no Nacos and no network
    writeFileSync(
      '/etc/hostmesh/center.yaml',
      example
        .replace('host:', 'host:\n  address: 127.0.0.1')
        .replace(
          /registries:[\s\S]*?\n\n/,
          'registries: [{ name: files, type: file, directory: /etc/hostmesh/endpoints }]\nendpoints: { allowLoopbackEndpoints: true }\n\n',
        ),
    )
    copyFileSync(join(root, 'systemd/hostmesh-center.service'), '/etc/systemd/system/hostmesh-center.service')
    systemctl('daemon-reload')
    try {
      const said = systemctl('start', 'hostmesh-center')
      if (said !== '') return `${said}\n${systemctl('status', 'hostmesh-center')}`
      const { stdout: status } = spawnSync(command, ['status', '-c', '/etc/hostmesh/center.yaml', '--json'], {
        encoding: 'utf8',
      })
      const { allRight, role } = JSON.parse(status) as { allRight: boolean; role: string }
      const reloaded = systemctl('reload', 'hostmesh-center')
      return allRight && role === 'center' && reloaded === '' ? undefined : `${status} ${reloaded}`
    } finally {
      systemctl('stop', 'hostmesh-center')
      systemctl('start', 'hostmesh')
      await until('it serves', serves)
    }
  })
} else {
  await step('comes back after a reboot', async () => {
    await until('it serves', serves, 60_000)
    return (await ask()) === 200 ? undefined : 'no answer'
  })
}

await provider.close()
keepJournal()
systemctl('poweroff')
