/** Commands that start, replace and end what runs on this host. */
import { Option } from 'commander'
import type { CommandLine, WatchdogCall } from '../command-line.ts'
import {
  configOption,
  defaultCenterConfig,
  defaultConfig,
  durationMs,
  percent,
  runDirOption,
  waitOption,
} from '../options.ts'

interface UpgradeOptions {
  readonly config: string
  readonly wait: 'serving' | 'gone'
  readonly canary?: boolean
  readonly canaryFor: number
  readonly canaryMaxFailed: number
  readonly canaryMaxSlower: number
}

export function defineProcesses({ command, finish, output, runDirOf }: CommandLine): void {
  command('watchdog', 'supervise the agent of this host: start it, restart it, upgrade it, relay while it is dead', [
    'hostmesh watchdog',
    'hostmesh watchdog -c /etc/hostmesh/agent.yaml',
  ])
    .addOption(configOption(defaultConfig))
    .action(async (options: { config: string }) => {
      const { becomeWatchdog } = await import('../commands/processes.ts')
      await finish(becomeWatchdog(output(), options.config, 'agent'))
    })

  command('center', 'run a global mesh center on this machine, under its own watchdog', [
    'hostmesh center',
    'hostmesh center -c /etc/hostmesh/center.yaml',
  ])
    .addOption(configOption(defaultCenterConfig))
    .action(async (options: { config: string }) => {
      const { becomeWatchdog } = await import('../commands/processes.ts')
      await finish(becomeWatchdog(output(), options.config, 'center'))
    })

  command('agent', 'run one generation in the foreground without a watchdog, for development', [
    'hostmesh agent -c ./agent.yaml',
  ])
    .addOption(configOption(defaultConfig))
    .action(async (options: { config: string }) => {
      const { runAgent } = await import('../commands/processes.ts')
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
      const { restart } = await import('../commands/generations.ts')
      await finish(restart(output(), await runDirOf(options), { type: 'reload', wait: options.wait }))
    })

  command('upgrade', 'replace what runs by the release that this command belongs to', [
    '/opt/hostmesh/current/cli/hostmesh.js upgrade',
    'hostmesh upgrade -c /etc/hostmesh/center.yaml --wait serving',
    'hostmesh upgrade --canary --canary-for 5m --canary-max-failed 0.5',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(waitOption())
    .option('--canary', 'one worker first, compared with the others; on, or back by itself')
    .addOption(
      new Option('--canary-for <duration>', 'how long it is compared, 1s to 60m')
        .default(60_000, '60s')
        .argParser(durationMs)
        .implies({ canary: true }),
    )
    .addOption(
      new Option('--canary-max-failed <percent>', 'of its requests that may fail beyond what fails with the others')
        .default(1)
        .argParser(percent)
        .implies({ canary: true }),
    )
    .addOption(
      new Option('--canary-max-slower <percent>', 'that its median and 95th percentile may be above theirs, and 5 ms')
        .default(50)
        .argParser(percent)
        .implies({ canary: true }),
    )
    .action(async (options: UpgradeOptions) => {
      const { upgrade } = await import('../commands/upgrade.ts')
      const { canary, canaryFor: forMs, canaryMaxFailed: maxFailedPercent, canaryMaxSlower: maxSlowerPercent } = options
      const order = canary === true ? { forMs, maxFailedPercent, maxSlowerPercent } : undefined
      await finish(upgrade(output(), options.config, options.wait, order))
    })

  command('rollback', 'go back to the release that ran before the present one', ['hostmesh rollback'])
    .addOption(configOption(defaultConfig))
    .addOption(runDirOption())
    .addOption(waitOption())
    .action(async (options: WatchdogCall & { wait: 'serving' | 'gone' }) => {
      const { restart } = await import('../commands/generations.ts')
      await finish(restart(output(), await runDirOf(options), { type: 'rollback', wait: options.wait }))
    })

  command('stop', 'drain and end the watchdog and everything that it started', ['hostmesh stop --deadline 10s'])
    .addOption(configOption(defaultConfig))
    .addOption(runDirOption())
    .addOption(
      new Option('--deadline <duration>', 'longest time to drain').default(30_000, '30s').argParser(durationMs),
    )
    .action(async (options: WatchdogCall & { deadline: number }) => {
      const { stop } = await import('../commands/generations.ts')
      await finish(stop(output(), await runDirOf(options), options.deadline))
    })
}
