/** Rules of this host, and rules in a registry. */
import { type Command, Option } from 'commander'
import type { AgentCall, CommandLine } from '../command-line.ts'
import {
  adminOption,
  configOption,
  defaultCenterConfig,
  defaultConfig,
  durationMs,
  sharePercent,
  wholeNumber,
} from '../options.ts'

interface RulesCall {
  config: string
  registry?: string
}

export function defineRules({ command, context, finish, output }: CommandLine): void {
  const rules = command('rules', 'the rules of this host, and rules in the configuration store of a registry', [
    'hostmesh rules list',
    'hostmesh rules diff rules.d',
    'hostmesh rules push rules.d/orders.yaml',
    'hostmesh rules pull --directory ./rules orders',
    'hostmesh rules apply maintenance.yaml --ttl 2h',
    'hostmesh rules delete VirtualService shop/orders',
    'hostmesh rules history VirtualService shop/orders --diff',
    'hostmesh rules revert VirtualService shop/orders --change 12',
    'hostmesh rules dry-run orders.yaml --share 10% --for 60s',
  ])

  rules
    .command('list')
    .description('every rule that the agent of this host knows; exit code 1 if one is rejected')
    .exitOverride()
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (options: AgentCall) => {
      const { listRules } = await import('../commands/list-rules.ts')
      await finish(listRules(await context(options)))
    })

  rules
    .command('dry-run')
    .description(
      'evaluate a rule beside those in force on this host, or with -c of a center on its hosts, without effect; exit code 1 if some requests would be otherwise',
    )
    .exitOverride()
    .argument('<file>', 'the rule in its new version')
    .addOption(new Option('--share <percent>', 'of the requests').default(0.1, '10').argParser(sharePercent))
    .addOption(new Option('--for <duration>', 'how long').default(60_000, '60s').argParser(durationMs))
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (file: string, options: AgentCall & { share: number; for: number }) => {
      const { dryRun } = await import('../commands/dry-run.ts')
      await finish(dryRun(await context(options), file, { share: options.share, ms: options.for }))
    })

  function rulesCommand(name: string, description: string): Command {
    return rules
      .command(name)
      .description(description)
      .exitOverride()
      .addOption(configOption(defaultConfig))
      .option('--registry <name>', 'registry that keeps the rules; default: the first one with a rulesGroup')
  }

  rulesCommand('push', 'check files and write them, unless somebody else has changed a document meanwhile')
    .argument('<path...>', 'files or directories')
    .action(async (paths: string[], options: RulesCall) => {
      const { pushRules } = await import('../commands/rules.ts')
      await finish(pushRules(output(), paths, { config: options.config, registry: options.registry }))
    })

  rulesCommand('diff', 'what a push would change; exit code 1 if anything')
    .argument('<path...>', 'files or directories')
    .action(async (paths: string[], options: RulesCall) => {
      const { diffRules } = await import('../commands/rules.ts')
      await finish(diffRules(output(), paths, { config: options.config, registry: options.registry }))
    })

  rulesCommand('pull', 'write the documents of the mesh and of services to files')
    .argument(
      '[service...]',
      'services; default: all that the registry lists in its group, and those of outbound.services',
    )
    .option('--directory <directory>', 'where to', '.')
    .action(async (services: string[], options: RulesCall & { directory: string }) => {
      const { pullRules } = await import('../commands/rules.ts')
      await finish(
        pullRules(output(), options.directory, services, { config: options.config, registry: options.registry }),
      )
    })

  rules
    .command('apply')
    .description('tell rules to this host alone (or, with -c center.yaml, to a center): all of them, or none')
    .exitOverride()
    .argument('<path...>', 'files or directories')
    .option('--ttl <time>', 'they go by themselves after this time, from 1s to 365d; default: they stay')
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (paths: string[], options: AgentCall & { ttl?: string }) => {
      const { applyRules } = await import('../commands/told-rules.ts')
      await finish(applyRules(await context(options), paths, options.ttl))
    })

  rules
    .command('delete')
    .description('take a rule back that this host was told')
    .exitOverride()
    .argument('<kind>', 'VirtualService, DestinationRule, …')
    .argument('<name>', 'NAMESPACE/NAME')
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .action(async (kind: string, name: string, options: AgentCall) => {
      const { deleteRule } = await import('../commands/told-rules.ts')
      const { ruleName } = await import('../commands/rule-history.ts')
      await finish(deleteRule(await context(options), ruleName(kind, name)))
    })

  function centerCommand(name: string, description: string): Command {
    return rules
      .command(name)
      .description(description)
      .exitOverride()
      .argument('<kind>', 'VirtualService, DestinationRule, …')
      .argument('<name>', 'NAMESPACE/NAME')
      .addOption(configOption(defaultCenterConfig))
      .addOption(adminOption())
  }

  centerCommand('history', 'the versions of a rule that the center of this machine keeps: who, when, by what')
    .option('--diff', 'with the lines that each of them changed')
    .action(async (kind: string, name: string, options: AgentCall & { diff?: boolean }) => {
      const { ruleHistory, ruleName } = await import('../commands/rule-history.ts')
      await finish(ruleHistory(await context(options), ruleName(kind, name), options.diff === true))
    })

  centerCommand('revert', 'take the newest change of a rule back, or bring one of its versions back')
    .addOption(new Option('--change <version>', 'the newest change; refused if it is not').argParser(wholeNumber))
    .addOption(new Option('--to <version>', 'the version that comes back').argParser(wholeNumber).conflicts('change'))
    .addOption(
      new Option('--expect <version>', 'with --to: refused if another one is the newest').argParser(wholeNumber),
    )
    .action(
      async (kind: string, name: string, options: AgentCall & { change?: number; to?: number; expect?: number }) => {
        const { revertRule, ruleName } = await import('../commands/rule-history.ts')
        const { change, to, expect } = options
        await finish(revertRule(await context(options), ruleName(kind, name), { change, to, expect }))
      },
    )
}
