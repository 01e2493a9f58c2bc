/** Services that this host is told of while it runs. */
import { Option } from 'commander'
import type { AgentCall, CommandLine } from '../command-line.ts'
import { adminOption, configOption, defaultConfig, wholeNumber } from '../options.ts'

type AddCall = AgentCall & { protocol?: string; port?: number; ttl?: string }

export function defineOutbound({ command, context, finish }: CommandLine): void {
  const outbound = command('outbound', 'localhost ports for services, without a word in agent.yaml', [
    'hostmesh outbound add stock --ttl 2h',
    'hostmesh outbound add ledger --protocol tcp --port 20100',
    'hostmesh outbound remove stock',
    'hostmesh outbound list',
  ])

  outbound
    .command('add')
    .description('give a service a localhost port of its own; it stays over restarts')
    .exitOverride()
    .argument('<service>', 'its name')
    .option('--protocol <protocol>', 'what its endpoints speak; default: http')
    .addOption(new Option('--port <port>', 'this one; default: one of outbound.portRange').argParser(wholeNumber))
    .option('--ttl <time>', 'it goes by itself after this time, from 1s to 365d; default: it stays')
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (service: string, { protocol, port, ttl, ...options }: AddCall) => {
      const { addOutbound } = await import('../commands/outbound.ts')
      await finish(addOutbound(await context(options), service, { protocol, port, ttl }))
    })

  outbound
    .command('remove')
    .description('take the port of a service away that this host was told of')
    .exitOverride()
    .argument('<service>', 'its name')
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (service: string, options: AgentCall) => {
      const { removeOutbound } = await import('../commands/outbound.ts')
      await finish(removeOutbound(await context(options), service))
    })

  outbound
    .command('list')
    .description('services that this host was told of; exit code 1 if one has no port')
    .exitOverride()
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (options: AgentCall) => {
      const { listOutbound } = await import('../commands/outbound.ts')
      await finish(listOutbound(await context(options)))
    })
}
