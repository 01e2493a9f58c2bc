/**
 * Several machines, each booted with its own systemd and with sshd, on a network of their own: a bridge in a network
 * namespace, and one namespace for each machine. Whoever runs in the bridge's namespace reaches them all; nothing else
 * does.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MachineRoot } from '../continuity/machine-root.ts'

const network = '10.77.0'
const bootMs = 120_000
const stopMs = 30_000

export interface BootedHost {
  readonly name: string
  readonly address: string
  /** Network namespace; what runs in it is on that host's loopback. */
  readonly namespace: string
  /** Of its disk, as seen from here. */
  readonly root: string
  kill(): void
}

interface Machine extends BootedHost {
  readonly base: MachineRoot
  readonly process: ChildProcess
  readonly said: () => string
}

export class BootedHosts {
  /** Where the bridge is. */
  readonly namespace = `hm${process.pid}`
  private readonly key: string
  private readonly machines: Machine[] = []

  /** @param folder For the key with which they are entered. */
  constructor(folder: string) {
    this.key = join(folder, 'key')
    run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', this.key)
    run('ip', 'netns', 'add', this.namespace)
    run('ip', '-n', this.namespace, 'link', 'add', 'br0', 'type', 'bridge')
    run('ip', '-n', this.namespace, 'address', 'add', `${network}.1/24`, 'dev', 'br0')
    for (const link of ['lo', 'br0']) run('ip', '-n', this.namespace, 'link', 'set', link, 'up')
  }

  /** Resolves when its sshd can be entered. */
  async boot(name: string): Promise<BootedHost> {
    const index = this.machines.length + 1
    const namespace = `${this.namespace}-${index}`
    const address = `${network}.${10 + index}`
    this.connect(namespace, address, index)
    const base = new MachineRoot()
    mkdirSync(join(base.root, 'root/.ssh'), { recursive: true, mode: 0o700 })
    writeFileSync(join(base.root, 'root/.ssh/authorized_keys'), readFileSync(`${this.key}.pub`), { mode: 0o600 })
    appendFileSync(join(base.root, 'etc/ssh/sshd_config.d/test.conf'), 'UsePAM no\nUseDNS no\nMaxSessions 50\n')
    const words = ['--directory', base.root, '--boot', `--machine=${name}`, '--register=no', '--keep-unit']
    words.push(`--network-namespace-path=/run/netns/${namespace}`, '--link-journal=no', '--console=pipe')
    const child = spawn('systemd-nspawn', [...words, 'systemd.wants=ssh.service'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes: Buffer) => (output = (output + bytes.toString()).slice(-3000)))
    const kill = (): void => void child.kill('SIGKILL')
    const said = (): string => output
    const machine: Machine = { name, address, namespace, root: base.root, kill, base, process: child, said }
    this.machines.push(machine)
    const deadline = performance.now() + bootMs
    while (this.enter(machine, 'true').status !== 0) {
      if (performance.now() > deadline || child.exitCode !== null)
        throw new Error(`${name} cannot be entered\n${output}`)
      await delay(200)
    }
    return machine
  }

  /** A command in the namespace of the bridge, as of a machine beside them. */
  from(...words: string[]): readonly [string, readonly string[]] {
    return ['ip', ['netns', 'exec', this.namespace, ...words]]
  }

  /** A command of a shell on the host. */
  enter({ address }: BootedHost, command: string): { status: number | null; out: string } {
    const [program, words] = this.from('ssh', ...this.sshWords, `root@${address}`, command)
    const done = spawnSync(program, words, { encoding: 'utf8', timeout: 60_000 })
    return { status: done.status, out: done.stdout + done.stderr }
  }

  get sshWords(): readonly string[] {
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'ConnectTimeout=5']
    return ['-i', this.key, ...options.flatMap((option) => ['-o', option])]
  }

  async close(): Promise<void> {
    await Promise.all(this.machines.map((machine) => ended(machine.process)))
    for (const { base, namespace } of this.machines.splice(0)) {
      base.remove()
      spawnSync('ip', ['netns', 'delete', namespace])
    }
    spawnSync('ip', ['netns', 'delete', this.namespace])
  }

  private connect(namespace: string, address: string, index: number): void {
    const here = `v${index}`
    run('ip', 'netns', 'add', namespace)
    run('ip', '-n', this.namespace, 'link', 'add', here, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
    run('ip', '-n', this.namespace, 'link', 'set', here, 'master', 'br0', 'up')
    run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0')
    for (const link of ['lo', 'eth0']) run('ip', '-n', namespace, 'link', 'set', link, 'up')
  }
}

/** systemd-nspawn powers its machine off when it is told to end. */
async function ended(machine: ChildProcess): Promise<void> {
  if (machine.exitCode !== null || machine.signalCode !== null) return
  const gone = once(machine, 'exit')
  machine.kill('SIGTERM')
  const timer = setTimeout(() => machine.kill('SIGKILL'), stopMs)
  await gone
  clearTimeout(timer)
}

function run(program: string, ...words: string[]): void {
  const done = spawnSync(program, words, { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${program} ${words.join(' ')}: ${done.error?.message ?? done.stderr}`)
}

/** By name, what this machine lacks beside what one booted machine needs. */
export function whatIsMissingForHosts(): string | undefined {
  for (const [program, package_] of [
    ['ip', 'iproute2'],
    ['ssh', 'openssh-client'],
    ['java', 'default-jre-headless'],
  ] as const)
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
      return `needs ${program}: apt-get install ${package_}`
  return existsSync('/usr/sbin/sshd') ? undefined : 'needs sshd: apt-get install openssh-server'
}
