/** Commands that ask a center about all hosts. */
import { Option } from 'commander'
import type { AgentCall, CommandLine } from '../command-line.ts'
import { adminOption, collect, configOption, defaultCenterConfig, positiveNumber, wholeNumber } from '../options.ts'

export function defineFleet({ command, context, finish }: CommandLine): void {
  command(
    'hosts',
    'the hosts that report to the center of this machine, or one of them; exit code 1 if one is not well',
    ['hostmesh hosts', 'hostmesh hosts web-1', 'hostmesh hosts --json'],
  )
    .argument('[host]', 'one host, with its applications and rejected rules')
    .addOption(configOption(defaultCenterConfig))
    .addOption(adminOption())
    .action(async (host: string | undefined, options: AgentCall) => {
      const { hosts } = await import('../commands/hosts.ts')
      await finish(hosts(await context(options), host))
    })

  const rollout = command('rollout', 'give a rule to a share of the hosts first; it is taken up or back by itself', [
    'hostmesh rollout start orders.yaml --percent 10',
    'hostmesh rollout start orders.yaml --label ring=canary --observe 10m',
    'hostmesh rollout list',
    'hostmesh rollout stop shop/virtualservice.orders',
  ])
  const rolloutCommand = (name: string, description: string) =>
    rollout
      .command(name)
      .description(description)
      .exitOverride()
      .addOption(configOption(defaultCenterConfig))
      .addOption(adminOption())

  rolloutCommand('start', 'begin one')
    .argument('<file>', 'the rule in its new version')
    .addOption(new Option('--percent <percent>', 'of the hosts').argParser(positiveNumber).conflicts('label'))
    .option('--label <pair>', 'NAME=VALUE of host.labels; may be repeated', collect, [] as string[])
    .option('--observe <duration>', 'time without a difference until it is taken up', '2m')
    .addOption(
      new Option('--failures <share>', 'more failures than elsewhere that are allowed, 0.02').argParser(positiveNumber),
    )
    .addOption(new Option('--min-requests <count>', 'requests that a judgement needs').argParser(wholeNumber))
    .action(
      async (
        file: string,
        options: AgentCall & {
          percent?: number
          label: string[]
          observe: string
          failures?: number
          minRequests?: number
        },
      ) => {
        const { startRollout } = await import('../commands/rollout.ts')
        const { percent, label: labels, observe, failures, minRequests } = options
        const own = { percent, labels, observe, failures, minRequests }
        await finish(startRollout(await context(options), file, own))
      },
    )

  rolloutCommand('list', 'those that go on and those that ended, with figures and reasons').action(
    async (options: AgentCall) => {
      const { listRollouts } = await import('../commands/rollout.ts')
      await finish(listRollouts(await context(options)))
    },
  )

  rolloutCommand('stop', 'take a running one back, or forget one that is over')
    .argument('<name>', 'as listed')
    .action(async (name: string, options: AgentCall) => {
      const { stopRollout } = await import('../commands/rollout.ts')
      await finish(stopRollout(await context(options), name))
    })
}
