/** Commands that look at traffic as it passes. */
import { type Command, Option } from 'commander'
import type { AgentCall, CommandLine } from '../command-line.ts'
import { adminOption, configOption, defaultConfig, durationMs, kindsOf, sinceTime, wholeNumber } from '../options.ts'
import type { SinceTime } from '../options.ts'
import { sortKeys } from '../commands/top-rows.ts'
import type { SortColumn } from '../commands/top-rows.ts'
import { eventKinds } from '../../contracts/events.ts'

interface StreamsCall extends AgentCall {
  listener?: string
  service?: string
  peer?: string
  min?: number
}

const streamFilter = ({ listener, min, peer, service }: StreamsCall) => ({ listener, service, peer, leastMs: min })

interface ConnectionsCall extends AgentCall {
  listener?: string
  protocol?: string
  peer?: string
}

const connectionFilter = ({ listener, peer, protocol }: ConnectionsCall) => ({ listener, protocol, peer })

/** A command about what callers have in hand here: some of it, by listener and caller. */
function ofCallers(group: Command, name: string, description: string): Command {
  return group
    .command(name)
    .description(description)
    .exitOverride()
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .option('--listener <name>', 'name of a listener, as in the list')
    .option('--peer <address>', 'address of the caller, with or without port')
}

export function defineLive({ command, context, finish, output }: CommandLine): void {
  command('top', 'a live view of services on this host: rates, failures, p50 and p99, tier, restarts', [
    'hostmesh top',
    'hostmesh top --once --json',
    'hostmesh top --sort p99',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .addOption(new Option('--interval <duration>', 'time between two looks').default(2000, '2s').argParser(durationMs))
    .addOption(new Option('--sort <column>', 'what stands first').choices(Object.keys(sortKeys)).default('rate'))
    .option('--once', 'one table over one interval, then end')
    .action(async (options: AgentCall & { interval: number; once?: boolean; sort: SortColumn }) => {
      const { top } = await import('../commands/top.ts')
      const { interval, once, sort } = options
      await finish(top(await context(options), { intervalMs: interval, once: once === true, sort }))
    })

  command('tap', 'requests of this host as they end, at most about a hundred a second; --json prints one per line', [
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
        const { tap } = await import('../commands/tap.ts')
        const { count, method, min, path, source, status } = options
        const call = { service, status, method, path, source, minMs: min, failed: options.failed === true, count }
        await finish(tap(await context(options), call))
      },
    )

  command('events', 'what happened on this host: restarts, tiers, ejections, rules, registries; --json prints lines', [
    'hostmesh events --since 2h',
    'hostmesh events --follow --kind ejection,breaker',
    'hostmesh events --json -c /etc/hostmesh/center.yaml',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .addOption(new Option('--since <time>', 'only later ones: 30m, 2h, 7d, or 2026-01-31T12:00Z').argParser(sinceTime))
    .addOption(new Option('--kind <kinds>', `some of ${eventKinds.join(', ')}`).argParser(kindsOf))
    .option('-f, --follow', 'goes on with what happens, until it is stopped')
    .action(async (options: AgentCall & { since?: SinceTime; kind?: string; follow?: boolean }) => {
      const { events } = await import('../commands/events.ts')
      const { follow, kind, since } = options
      await finish(events(await context(options), { since, kind, follow: follow === true }, Date.now))
    })

  command('console', 'where the console of this node is, and how a browser elsewhere gets there', [
    'hostmesh console',
    'hostmesh console -c /etc/hostmesh/center.yaml',
  ])
    .addOption(configOption(defaultConfig))
    .action(async ({ config }: { config: string }) => {
      const { showConsole } = await import('../commands/console.ts')
      await finish(showConsole(output(), config))
    })

  const connections = command('connections', 'live connections of callers: list, follow, end', [
    'hostmesh connections list',
    'hostmesh connections list --peer 10.0.0.7 --json',
    'hostmesh connections follow --protocol tcp',
    "hostmesh connections close --listener 'outbound public/DEFAULT_GROUP@@ledger' --cut",
  ])

  const connectionsCommand = (name: string, description: string): Command =>
    ofCallers(connections, name, description).option('--protocol <protocol>', 'http1, tcp, websocket …')

  connectionsCommand('list', 'those that match, the oldest first').action(async (options: ConnectionsCall) => {
    const { listConnections } = await import('../commands/connections.ts')
    await finish(listConnections(await context(options), connectionFilter(options)))
  })

  connectionsCommand('follow', 'a line for each that opens or closes, until it is stopped').action(
    async (options: ConnectionsCall) => {
      const { followConnections } = await import('../commands/connections.ts')
      await finish(followConnections(await context(options), connectionFilter(options)))
    },
  )

  connectionsCommand('close', 'ends those that match; exit code 1 if none did')
    .argument('[id...]', 'as in the list')
    .option('--cut', 'now, whatever is in flight; default: HTTP connections behind their answer')
    .action(async (ids: string[], options: ConnectionsCall & { cut?: boolean }) => {
      const { closeConnections } = await import('../commands/connections.ts')
      const call = { ...connectionFilter(options), cut: options.cut === true }
      await finish(closeConnections(await context(options), ids, call))
    })

  const streams = command('streams', 'requests in flight, streams of hours among them: list, follow, end', [
    'hostmesh streams list --min 1h',
    'hostmesh streams list --service ledger --json',
    'hostmesh streams follow --peer 10.0.0.7',
    'hostmesh streams close 4711-12-5',
  ])

  const streamsCommand = (name: string, description: string): Command =>
    ofCallers(streams, name, description)
      .option('--service <name>', 'name of the called service')
      .addOption(new Option('--min <duration>', 'only what has lasted so long').argParser(durationMs))

  streamsCommand('list', 'those that match, the oldest first').action(async (options: StreamsCall) => {
    const { listStreams } = await import('../commands/streams.ts')
    await finish(listStreams(await context(options), streamFilter(options)))
  })

  streamsCommand('follow', 'a line for each that begins or ends, until it is stopped').action(
    async (options: StreamsCall) => {
      const { followStreams } = await import('../commands/streams.ts')
      await finish(followStreams(await context(options), streamFilter(options)))
    },
  )

  streamsCommand('close', 'ends those that match, their connections stay; exit code 1 if none did')
    .argument('[id...]', 'as in the list')
    .action(async (ids: string[], options: StreamsCall) => {
      const { closeStreams } = await import('../commands/streams.ts')
      await finish(closeStreams(await context(options), ids, streamFilter(options)))
    })
}
