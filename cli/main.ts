/** Composition root of the `hostmesh` command: words of the call to commands, errors to exit codes. */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { MeshError, describeError } from '../contracts/errors.ts'
import { adminClient } from './admin-client.ts'
import type { CommandContext } from './context.ts'
import { type DrillName, drillNames } from './drill/names.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { type Output, createOutput } from './output.ts'
import { productVersion } from './version.ts'

const defaultConfig = '/etc/hostmesh/agent.yaml'
const defaultCenterConfig = '/etc/hostmesh/center.yaml'
const defaultRunDir = '/run/hostmesh'
const adminTimeoutMs = 10_000

const exitCodeHelp = `
Exit codes: 0 good, 1 the answer is no, 2 wrong words in the call, 3 the configuration has problems, 4 nobody answers.`

interface GlobalOptions {
  json?: boolean
}

const program = new Command('hostmesh')
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
  new Option('--admin <address>', 'admin address of the agent: host:port or the path of its socket')
    .default('127.0.0.1:15000')
    .env('HOSTMESH_ADMIN')

const runDirOption = (): Option =>
  new Option('--run-dir <directory>', 'run directory of the watchdog').default(defaultRunDir).env('HOSTMESH_RUN_DIR')

const configOption = (path: string): Option =>
  new Option('-c, --config <file>', 'configuration file').default(path).env('HOSTMESH_CONFIG')

const waitOption = (): Option =>
  new Option('--wait <event>', 'return when the new generation serves, or when the old one is gone')
    .choices(['serving', 'gone'])
    .default('gone')

function context(options: { admin: string }): CommandContext {
  return { output: output(), admin: adminClient(options.admin, adminTimeoutMs) }
}

function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m)$/.exec(text)
  if (match === null) throw new InvalidArgumentError(`found "${text}", allowed is a duration such as 500ms, 10s or 5m`)
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2] as 'ms' | 's' | 'm']
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
  .addOption(runDirOption())
  .addOption(waitOption())
  .action(async (options: { runDir: string; wait: 'serving' | 'gone' }) => {
    const { restart } = await import('./commands/generations.ts')
    await finish(restart(output(), options.runDir, { type: 'reload', wait: options.wait }))
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
  .addOption(runDirOption())
  .addOption(waitOption())
  .action(async (options: { runDir: string; wait: 'serving' | 'gone' }) => {
    const { restart } = await import('./commands/generations.ts')
    await finish(restart(output(), options.runDir, { type: 'rollback', wait: options.wait }))
  })

command('stop', 'drain and end the watchdog and everything that it started', ['hostmesh stop --deadline 10s'])
  .addOption(runDirOption())
  .addOption(new Option('--deadline <duration>', 'longest time to drain').default(30_000, '30s').argParser(durationMs))
  .action(async (options: { runDir: string; deadline: number }) => {
    const { stop } = await import('./commands/generations.ts')
    await finish(stop(output(), options.runDir, options.deadline))
  })

// ---- questions

command('check', 'check the configuration, services.d and rules.d; every problem at once', [
  'hostmesh check',
  'hostmesh check -c ./agent.yaml --json',
])
  .addOption(configOption(defaultConfig))
  .action(async (options: { config: string }) => {
    const { check } = await import('./commands/check.ts')
    await finish(check(output(), options.config))
  })

command('status', 'is this host all right: readiness, workers, registries', [
  'hostmesh status',
  'hostmesh status --admin /run/hostmesh/admin.sock --json',
])
  .addOption(adminOption())
  .action(async (options: { admin: string }) => {
    const { status } = await import('./commands/status.ts')
    await finish(status(context(options)))
  })

command('generations', 'what the watchdog supervises, relays and holds, and the newest restart report', [
  'hostmesh generations',
  'hostmesh generations --run-dir /run/hostmesh --json',
])
  .addOption(runDirOption())
  .action(async (options: { runDir: string }) => {
    const { generations } = await import('./commands/generations.ts')
    await finish(generations(output(), options.runDir))
  })

command('ports', 'which localhost port leads to which service', [
  'hostmesh ports',
  'hostmesh ports --env > /etc/orders.env',
])
  .addOption(adminOption())
  .option('--env', 'print NAME_ADDRESS=host:port lines')
  .action(async (options: { admin: string; env?: boolean }) => {
    const { ports } = await import('./commands/ports.ts')
    await finish(ports(context(options), options.env === true))
  })

command('explain', 'what the agent would do with a request, and why', [
  'hostmesh explain http://orders/v1/items',
  "hostmesh explain orders/v1/items --method POST --header 'x-canary: yes' --source web",
])
  .argument('<url>', 'host and path; just a path with --listener')
  .addOption(adminOption())
  .option('--method <method>', 'request method', 'GET')
  .option('--listener <name>', 'listener name or port instead of the shared HTTP port')
  .option('--header <line>', '"name: value", may be repeated', collect, [] as string[])
  .option('--source <application>', 'calling application')
  .action(
    async (
      url: string,
      options: { admin: string; method: string; listener?: string; header: string[]; source?: string },
    ) => {
      const { explain } = await import('./commands/explain.ts')
      await finish(explain(context(options), url, options))
    },
  )

const rules = command('rules', 'rules between files and the configuration store of a registry', [
  'hostmesh rules diff rules.d',
  'hostmesh rules push rules.d/orders.yaml',
  'hostmesh rules pull --directory ./rules orders',
])

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

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
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
