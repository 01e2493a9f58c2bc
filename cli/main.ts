/** Composition root of the `hostmesh` command: words of the call to commands, errors to exit codes. */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { MeshError, describeError } from '../contracts/errors.ts'
import { adminClient, whereAllowed } from './admin-client.ts'
import { type Shell, shells } from './completion/words.ts'
import type { CommandContext } from './context.ts'
import { type DrillName, drillNames } from './drill/names.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { type Output, createOutput } from './output.ts'
import { productVersion } from './version.ts'

const defaultConfig = '/etc/hostmesh/agent.yaml'
const defaultCenterConfig = '/etc/hostmesh/center.yaml'
const adminTimeoutMs = 10_000

const exitCodeHelp = `
Exit codes: 0 good, 1 the answer is no, 2 wrong words in the call, 3 the configuration has problems, 4 nobody answers.`

interface GlobalOptions {
  json?: boolean
}

export const program = new Command('hostmesh')
  .description(
    'Node-level service mesh: one agent per machine, three tiers for traffic, connections that survive a restart.',
  )
  .version(productVersion())
  .option('--json', 'one JSON value on standard output, no colours, no tables')
  .showHelpAfterError('(hostmesh help COMMAND shows what is allowed)')
  .addHelpText('after', exitCodeHelp)
  .exitOverride()

function output(): Output {
  const sinks = { out: process.stdout, err: process.stderr }
  return createOutput(program.opts<GlobalOptions>().json === true, sinks, process.env)
}

function command(name: string, description: string, examples: readonly string[]): Command {
  return program
    .command(name)
    .description(description)
    .exitOverride()
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}\n${exitCodeHelp}`)
}

/** The exit code of a command is its result; long-running ones resolve when they are told to stop. */
async function finish(work: ExitCode | Promise<ExitCode>): Promise<void> {
  process.exitCode = await work
}

const adminOption = (): Option =>
  new Option(
    '--admin <address>',
    'host:port or path of the socket of the admin interface, instead of the one in the configuration',
  ).env('HOSTMESH_ADMIN')

const runDirOption = (): Option =>
  new Option('--run-dir <directory>', 'run directory of the watchdog, instead of the one in the configuration').env(
    'HOSTMESH_RUN_DIR',
  )

const configOption = (path: string): Option =>
  new Option('-c, --config <file>', 'configuration file').default(path).env('HOSTMESH_CONFIG')

const waitOption = (): Option =>
  new Option('--wait <event>', 'return when the new generation serves, or when the old one is gone')
    .choices(['serving', 'gone'])
    .default('gone')

/** How a command that asks a running agent names it. */
interface AgentCall {
  config: string
  admin?: string
}

/** How a command that asks a running watchdog names it. */
interface WatchdogCall {
  config: string
  runDir?: string
}

async function context({ config, admin }: AgentCall): Promise<CommandContext> {
  if (admin !== undefined) return { output: output(), admin: adminClient(admin, adminTimeoutMs), runDir: undefined }
  const { locateAgent } = await import('./locate-agent.ts')
  const { socket, address, runDir } = locateAgent(config)
  const atSocket = adminClient(socket, adminTimeoutMs)
  if (address === undefined) return { output: output(), admin: atSocket, runDir }
  const { strangerAt } = await import('./stranger.ts')
  const atAddress = adminClient(address, adminTimeoutMs, (connection) => strangerAt(connection, runDir))
  return { output: output(), admin: whereAllowed(atSocket, atAddress), runDir }
}

async function runDirOf({ config, runDir }: WatchdogCall): Promise<string> {
  if (runDir !== undefined) return runDir
  const { locateAgent } = await import('./locate-agent.ts')
  return locateAgent(config).runDir
}

function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m)$/.exec(text)
  if (match === null) throw new InvalidArgumentError(`found "${text}", allowed is a duration such as 500ms, 10s or 5m`)
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2] as 'ms' | 's' | 'm']
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new InvalidArgumentError(`found "${text}", allowed is a whole number from 1 on`)
  return Number(text)
}

function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value]
}

// ---- processes

command('watchdog', 'supervise the agent of this host: start it, restart it, upgrade it, relay while it is dead', [
  'hostmesh watchdog',
  'hostmesh watchdog -c /etc/hostmesh/agent.yaml',
])
  .addOption(configOption(defaultConfig))
  .action(async (options: { config: string }) => {
    const { becomeWatchdog } = await import('./commands/processes.ts')
    await finish(becomeWatchdog(output(), options.config, 'agent'))
  })

command('center', 'run a global mesh center on this machine, under its own watchdog', [
  'hostmesh center',
  'hostmesh center -c /etc/hostmesh/center.yaml',
])
  .addOption(configOption(defaultCenterConfig))
  .action(async (options: { config: string }) => {
    const { becomeWatchdog } = await import('./commands/processes.ts')
    await finish(becomeWatchdog(output(), options.config, 'center'))
  })

command('agent', 'run one generation in the foreground without a watchdog, for development', [
  'hostmesh agent -c ./agent.yaml',
])
  .addOption(configOption(defaultConfig))
  .action(async (options: { config: string }) => {
    const { runAgent } = await import('./commands/processes.ts')
    await finish(runAgent(output(), options.config))
  })

command('reload', 'start a new generation and hand everything over to it', [
  'hostmesh reload',
  'hostmesh reload --wait serving',
])
  .addOption(configOption(defaultConfig))
  .addOption(runDirOption())
  .addOption(waitOption())
  .action(async (options: WatchdogCall & { wait: 'serving' | 'gone' }) => {
    const { restart } = await import('./commands/generations.ts')
    await finish(restart(output(), await runDirOf(options), { type: 'reload', wait: options.wait }))
  })

command('upgrade', 'replace what runs by the release that this command belongs to', [
  '/opt/hostmesh/current/cli/hostmesh.js upgrade',
  'hostmesh upgrade -c /etc/hostmesh/center.yaml --wait serving',
])
  .addOption(configOption(defaultConfig))
  .addOption(waitOption())
  .action(async (options: { config: string; wait: 'serving' | 'gone' }) => {
    const { upgrade } = await import('./commands/upgrade.ts')
    await finish(upgrade(output(), options.config, options.wait))
  })

command('rollback', 'go back to the release that ran before the present one', ['hostmesh rollback'])
  .addOption(configOption(defaultConfig))
  .addOption(runDirOption())
  .addOption(waitOption())
  .action(async (options: WatchdogCall & { wait: 'serving' | 'gone' }) => {
    const { restart } = await import('./commands/generations.ts')
    await finish(restart(output(), await runDirOf(options), { type: 'rollback', wait: options.wait }))
  })

command('stop', 'drain and end the watchdog and everything that it started', ['hostmesh stop --deadline 10s'])
  .addOption(configOption(defaultConfig))
  .addOption(runDirOption())
  .addOption(new Option('--deadline <duration>', 'longest time to drain').default(30_000, '30s').argParser(durationMs))
  .action(async (options: WatchdogCall & { deadline: number }) => {
    const { stop } = await import('./commands/generations.ts')
    await finish(stop(output(), await runDirOf(options), options.deadline))
  })

// ---- questions

command('check', 'check the configuration, services.d and rules.d; every problem at once', [
  'hostmesh check',
  'hostmesh check -c ./agent.yaml --json',
  'hostmesh check --online',
])
  .addOption(configOption(defaultConfig))
  .addOption(new Option('--online', 'ask each registry server, too: is it reached, does it let us in').default(false))
  .action(async (options: { config: string; online: boolean }) => {
    const { check } = await import('./commands/check.ts')
    await finish(check(output(), options.config, options.online))
  })

command('status', 'is this host all right: readiness, problems, workers, registries, local applications', [
  'hostmesh status',
  'hostmesh status -c /etc/hostmesh/center.yaml --json',
])
  .addOption(configOption(defaultConfig))
  .addOption(adminOption())
  .action(async (options: AgentCall) => {
    const { status } = await import('./commands/status.ts')
    await finish(status(await context(options)))
  })

command('generations', 'what the watchdog supervises, relays and holds, and the newest restart report', [
  'hostmesh generations',
  'hostmesh generations -c /etc/hostmesh/center.yaml --json',
])
  .addOption(configOption(defaultConfig))
  .addOption(runDirOption())
  .action(async (options: WatchdogCall) => {
    const { generations } = await import('./commands/generations.ts')
    await finish(generations(output(), await runDirOf(options)))
  })

command('ports', 'which localhost port leads to which service', [
  'hostmesh ports',
  'hostmesh ports --env > /etc/orders.env',
])
  .addOption(configOption(defaultConfig))
  .addOption(adminOption())
  .option('--env', 'print NAME_ADDRESS=host:port lines')
  .action(async (options: AgentCall & { env?: boolean }) => {
    const { ports } = await import('./commands/ports.ts')
    await finish(ports(await context(options), options.env === true))
  })

command('registrations', 'local applications: health, inbound port, what the registry knows of them', [
  'hostmesh registrations',
  'hostmesh registrations --json',
])
  .addOption(configOption(defaultConfig))
  .addOption(adminOption())
  .action(async (options: AgentCall) => {
    const { registrations } = await import('./commands/registrations.ts')
    await finish(registrations(await context(options)))
  })

command('explain', 'what the agent would do with a request, and why', [
  'hostmesh explain http://orders/v1/items',
  "hostmesh explain orders/v1/items --method POST --header 'x-canary: yes' --source web",
])
  .argument('<url>', 'host and path; just a path with --listener')
  .addOption(configOption(defaultConfig))
  .addOption(adminOption())
  .option('--method <method>', 'request method', 'GET')
  .option('--listener <name>', 'listener name or port instead of the shared HTTP port')
  .option('--header <line>', '"name: value", may be repeated', collect, [] as string[])
  .option('--source <application>', 'calling application')
  .action(
    async (
      url: string,
      options: AgentCall & { method: string; listener?: string; header: string[]; source?: string },
    ) => {
      const { explain } = await import('./commands/explain.ts')
      await finish(explain(await context(options), url, options))
    },
  )

const rules = command('rules', 'the rules of this host, and rules in the configuration store of a registry', [
  'hostmesh rules list',
  'hostmesh rules diff rules.d',
  'hostmesh rules push rules.d/orders.yaml',
  'hostmesh rules pull --directory ./rules orders',
])

rules
  .command('list')
  .description('every rule that the agent of this host knows; exit code 1 if one is rejected')
  .exitOverride()
  .addOption(configOption(defaultConfig))
  .addOption(adminOption())
  .action(async (options: AgentCall) => {
    const { listRules } = await import('./commands/list-rules.ts')
    await finish(listRules(await context(options)))
  })

function rulesCommand(name: string, description: string): Command {
  return rules
    .command(name)
    .description(description)
    .exitOverride()
    .addOption(configOption(defaultConfig))
    .option('--registry <name>', 'registry that keeps the rules; default: the first one with a rulesGroup')
}

interface RulesCall {
  config: string
  registry?: string
}

rulesCommand('push', 'check files and write them, unless somebody else has changed a document meanwhile')
  .argument('<path...>', 'files or directories')
  .action(async (paths: string[], options: RulesCall) => {
    const { pushRules } = await import('./commands/rules.ts')
    await finish(pushRules(output(), paths, { config: options.config, registry: options.registry }))
  })

rulesCommand('diff', 'what a push would change; exit code 1 if anything')
  .argument('<path...>', 'files or directories')
  .action(async (paths: string[], options: RulesCall) => {
    const { diffRules } = await import('./commands/rules.ts')
    await finish(diffRules(output(), paths, { config: options.config, registry: options.registry }))
  })

rulesCommand('pull', 'write the documents of the mesh and of services to files')
  .argument('[service...]', 'services; default: all that the registry lists')
  .option('--directory <directory>', 'where to', '.')
  .action(async (services: string[], options: RulesCall & { directory: string }) => {
    const { pullRules } = await import('./commands/rules.ts')
    await finish(
      pullRules(output(), options.directory, services, { config: options.config, registry: options.registry }),
    )
  })

// ---- live

command('top', 'a live view of services on this host: rates, failures, p50 and p99, tier, restarts', [
  'hostmesh top',
  'hostmesh top --once --json',
])
  .addOption(configOption(defaultConfig))
  .addOption(adminOption())
  .addOption(new Option('--interval <duration>', 'time between two looks').default(2000, '2s').argParser(durationMs))
  .option('--once', 'one table over one interval, then end')
  .action(async (options: AgentCall & { interval: number; once?: boolean }) => {
    const { top } = await import('./commands/top.ts')
    await finish(top(await context(options), { intervalMs: options.interval, once: options.once === true }))
  })

command('tap', 'requests of this host as they end, at most some hundred a second; --json prints one per line', [
  'hostmesh tap orders',
  'hostmesh tap orders --status 5xx --min 100ms',
  'hostmesh tap --failed --count 20 --json',
])
  .argument('[service]', 'name of a service; default: all')
  .addOption(configOption(defaultConfig))
  .addOption(adminOption())
  .option('--status <status>', '404, or a class such as 5xx')
  .option('--method <method>', 'request method')
  .option('--path <prefix>', 'beginning of the path')
  .option('--source <application>', 'calling application')
  .addOption(new Option('--min <duration>', 'least duration').argParser(durationMs))
  .option('--failed', 'only what failed')
  .addOption(new Option('--count <number>', 'end after so many').argParser(wholeNumber))
  .action(
    async (
      service: string | undefined,
      options: AgentCall & {
        status?: string
        method?: string
        path?: string
        source?: string
        min?: number
        failed?: boolean
        count?: number
      },
    ) => {
      const { tap } = await import('./commands/tap.ts')
      const { count, method, min, path, source, status } = options
      const call = { service, status, method, path, source, minMs: min, failed: options.failed === true, count }
      await finish(tap(await context(options), call))
    },
  )

interface ConnectionsCall extends AgentCall {
  listener?: string
  protocol?: string
  peer?: string
}

const connections = command('connections', 'live connections of callers: list, follow, end', [
  'hostmesh connections list',
  'hostmesh connections list --peer 10.0.0.7 --json',
  'hostmesh connections follow --protocol tcp',
  'hostmesh connections close --listener service:ledger --cut',
])

function connectionsCommand(name: string, description: string): Command {
  return connections
    .command(name)
    .description(description)
    .exitOverride()
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .option('--listener <name>', 'name of a listener, as in the list')
    .option('--protocol <protocol>', 'http1, tcp, websocket …')
    .option('--peer <address>', 'address of the caller, with or without port')
}

const connectionFilter = ({ listener, peer, protocol }: ConnectionsCall) => ({ listener, protocol, peer })

connectionsCommand('list', 'those that match, the oldest first').action(async (options: ConnectionsCall) => {
  const { listConnections } = await import('./commands/connections.ts')
  await finish(listConnections(await context(options), connectionFilter(options)))
})

connectionsCommand('follow', 'a line for each that opens or closes, until it is stopped').action(
  async (options: ConnectionsCall) => {
    const { followConnections } = await import('./commands/connections.ts')
    await finish(followConnections(await context(options), connectionFilter(options)))
  },
)

connectionsCommand('close', 'ends those that match; exit code 1 if none did')
  .argument('[id...]', 'as in the list')
  .option('--cut', 'now, whatever is in flight; default: HTTP connections behind their answer')
  .action(async (ids: string[], options: ConnectionsCall & { cut?: boolean }) => {
    const { closeConnections } = await import('./commands/connections.ts')
    const call = { ...connectionFilter(options), cut: options.cut === true }
    await finish(closeConnections(await context(options), ids, call))
  })

command('drill', 'break one thing on this host on purpose, measure, restore, judge', [
  'hostmesh drill kill-worker --dry-run',
  'hostmesh drill kill-agent --yes --json',
])
  .addArgument(new Argument('<drill>', 'what to break; kill-center on the machine of a center').choices(drillNames))
  .addOption(configOption(defaultConfig))
  .option('--yes', 'act without asking')
  .option('--dry-run', 'say what it would do, and whether the host is fit for it')
  .action(async (name: DrillName, options: { config: string; yes?: boolean; dryRun?: boolean }) => {
    const { drill } = await import('./commands/drill.ts')
    await finish(
      drill(output(), name, { config: options.config, yes: options.yes === true, dryRun: options.dryRun === true }),
    )
  })

command('demo', 'two hosts, a center and a registry on this machine, with traffic and a live view', [
  'hostmesh demo',
  'hostmesh demo --once',
  'hostmesh demo --nacos 127.0.0.1:8848',
])
  .option('--once', 'run the scenario, print a verdict table, exit 0 or 1')
  .option('--nacos <address>', 'use this Nacos server instead of the embedded registry')
  .action(async (options: { once?: boolean; nacos?: string }) => {
    const { demo } = await import('./demo/demo.ts')
    await finish(demo(output(), { once: options.once === true, nacos: options.nacos }))
  })

command('completion', 'print the completion script of a shell; packages install them', [
  'hostmesh completion bash > /etc/bash_completion.d/hostmesh',
  'hostmesh completion zsh > /usr/local/share/zsh/site-functions/_hostmesh',
])
  .addArgument(new Argument('<shell>', 'whose script').choices(shells))
  .action(async (shell: Shell) => {
    const { completion } = await import('./commands/completion.ts')
    await finish(completion(output(), shell, program))
  })

/** Does what the words of this process say, and sets its exit code. */
export async function run(): Promise<void> {
  endQuietlyWithoutReader()
  try {
    await program.parseAsync()
  } catch (error) {
    process.exitCode = exitCodeOf(error)
  }
}

function endQuietlyWithoutReader(): void {
  let isOutputLost = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // whoever read us has seen enough (`| head`): not a failure, and the exit code stays that of the answer
    if (error.code === 'EPIPE' || isOutputLost) return
    isOutputLost = true
    process.stderr.write(`hostmesh: the answer could not be written: ${error.message}\n`)
  })
  // there is nobody left to tell
  process.stderr.on('error', () => undefined)
  process.on('exit', (code) => {
    if (isOutputLost && code === exitCodes.ok) process.exitCode = exitCodes.failed
  })
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  const out = output()
  if (out.isJson && error instanceof MeshError) out.json({ error: { code: error.code, message: describeError(error) } })
  else out.problem(`hostmesh: ${describeError(error)}`)
  if (!(error instanceof MeshError)) return exitCodes.failed
  if (error.code === 'E_ADMIN_UNREACHABLE' || error.code === 'E_REGISTRY_UNREACHABLE') return exitCodes.unreachable
  if (error.code === 'E_CONFIG_INVALID' || error.code === 'E_CONFIG_UNREADABLE') return exitCodes.config
  return exitCodes.failed
}

if (import.meta.main) await run()
