/** Commands that ask what is configured and what runs. */
import { Option } from 'commander'
import type { AgentCall, CommandLine, WatchdogCall } from '../command-line.ts'
import type { ExplainRpcOptions } from '../commands/explain.ts'
import { adminOption, collect, configOption, defaultConfig, runDirOption } from '../options.ts'

export function defineQuestions({ command, context, finish, output, runDirOf }: CommandLine): void {
  command('check', 'check the configuration, services.d and rules.d; every problem at once', [
    'hostmesh check',
    'hostmesh check -c ./agent.yaml --json',
    'hostmesh check --online',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(new Option('--online', 'ask each registry server, too: is it reached, does it let us in').default(false))
    .action(async (options: { config: string; online: boolean }) => {
      const { check } = await import('../commands/check.ts')
      await finish(check(output(), options.config, options.online))
    })

  command('doctor', 'every link from the running unit to an answer: what is not whole, why, and what to type next', [
    'hostmesh doctor',
    'hostmesh doctor orders --path /health',
    'hostmesh doctor -c /etc/hostmesh/center.yaml --json',
  ])
    .argument('[service]', 'service that a GET is sent to, to see whether requests arrive; default: none')
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .option('--path <path>', 'of that GET', '/')
    .action(async (service: string | undefined, options: AgentCall & { path: string }) => {
      const { doctor } = await import('../commands/doctor.ts')
      const { config, path } = options
      await finish(doctor(output(), async () => (await context(options)).admin, { config, service, path }))
    })

  command('support-bundle', 'one file with what this host knows of itself, secrets removed, for whoever helps', [
    'hostmesh support-bundle',
    'hostmesh support-bundle --output /tmp/host-7.tar.gz',
    'hostmesh support-bundle --list',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .option('--output <file>', 'where to; default: a name with host and time, in the working directory')
    .option('--list', 'say what would be in it, and write nothing')
    .action(async (options: AgentCall & { output?: string; list?: boolean }) => {
      const { supportBundle } = await import('../commands/support-bundle.ts')
      const call = { config: options.config, file: options.output, isListOnly: options.list === true }
      await finish(supportBundle(output(), async () => (await context(options)).admin, call))
    })

  command('status', 'is this host all right: readiness, problems, workers, registries, local applications', [
    'hostmesh status',
    'hostmesh status -c /etc/hostmesh/center.yaml --json',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (options: AgentCall) => {
      const { status } = await import('../commands/status.ts')
      await finish(status(await context(options), Date.now))
    })

  command('generations', 'what the watchdog supervises, relays and holds, and the newest restart report', [
    'hostmesh generations',
    'hostmesh generations -c /etc/hostmesh/center.yaml --json',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(runDirOption())
    .action(async (options: WatchdogCall) => {
      const { generations } = await import('../commands/generations.ts')
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
      const { ports } = await import('../commands/ports.ts')
      await finish(ports(await context(options), options.env === true))
    })

  command('registrations', 'local applications: health, inbound port, what the registry knows of them', [
    'hostmesh registrations',
    'hostmesh registrations --json',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (options: AgentCall) => {
      const { registrations } = await import('../commands/registrations.ts')
      await finish(registrations(await context(options)))
    })

  command('explain', 'what the agent would do with a request, and why', [
    'hostmesh explain http://orders/v1/items',
    "hostmesh explain orders/v1/items --method POST --header 'x-canary: yes' --source web",
    'hostmesh explain rpc com.shop.Orders:1.0 place -a lane=blue',
  ])
    .argument('<url>', 'host and path; just a path with --listener')
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .option('--method <method>', 'request method', 'GET')
    .option('--listener <name>', 'listener name or port instead of the shared HTTP port')
    .option('--header <line>', '"name: value", may be repeated', collect, [] as string[])
    .option('--source <application>', 'calling application of this host')
    .option('--principal <id>', 'SPIFFE id of the peer, for an inbound listener')
    .option('--address <ip>', 'address of the peer')
    .action(
      async (
        url: string,
        options: AgentCall & {
          method: string
          listener?: string
          header: string[]
          source?: string
          principal?: string
          address?: string
        },
      ) => {
        const { explain } = await import('../commands/explain.ts')
        await finish(explain(await context(options), url, options))
      },
    )
    .command('rpc')
    .exitOverride()
    .summary('the same for a request in private RPC')
    .description(
      'what the agent would do with a request in private RPC, and why; --config, --admin, --listener and --source as above',
    )
    .argument('<service>', 'as the protocol names it')
    .argument('<method>', 'the called method')
    .option('-a, --attribute <pair>', 'KEY=VALUE, may be repeated', collect, [] as string[])
    .action(async (service: string, method: string, _own: unknown, self: { optsWithGlobals(): unknown }) => {
      const options = self.optsWithGlobals() as AgentCall & ExplainRpcOptions
      const { explainRpc } = await import('../commands/explain.ts')
      await finish(explainRpc(await context(options), service, method, options))
    })
}
