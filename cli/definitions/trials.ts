/** Commands that try something out, and what a shell needs. */
import { Argument, InvalidArgumentError, Option } from 'commander'
import type { CommandLine } from '../command-line.ts'
import { type Shell, shells } from '../completion/words.ts'
import { type DrillName, drillNames } from '../drill/names.ts'
import { configOption, defaultConfig, durationMs, sharePercent } from '../options.ts'

interface DrillCall {
  config: string
  yes?: boolean
  dryRun?: boolean
  safe?: boolean
  /** ms. */
  for: number
  /** 0..1. */
  abortAbove: number
}

/** Longest time of a fault, ms. */
const longestFaultMs = 300_000

function faultDuration(text: string): number {
  const ms = durationMs(text)
  if (ms < 100 || ms > longestFaultMs) throw new InvalidArgumentError(`found "${text}", allowed 100ms to 5m`)
  return ms
}

export function defineTrials({ command, finish, output, program }: CommandLine): void {
  command('drill', 'break one thing on this host on purpose, measure, restore, judge; all: one after another', [
    'hostmesh drill kill-worker --dry-run',
    'hostmesh drill kill-agent --yes --json',
    'hostmesh drill all --safe --yes',
  ])
    .addArgument(
      new Argument('<drill>', 'what to break; kill-center on the machine of a center').choices([...drillNames, 'all']),
    )
    .addOption(configOption(defaultConfig))
    .option('--yes', 'act without asking')
    .option('--dry-run', 'say what it would do, and whether the host is fit for it')
    .option('--safe', 'of all only those whose promise is that nobody notices')
    .addOption(
      new Option('--for <duration>', 'how long a fault lasts that does not end by itself')
        .default(10_000, '10s')
        .argParser(faultDuration),
    )
    .addOption(
      new Option('--abort-above <percent>', 'share of real requests that may fail before it gives up')
        .default(0.05, '5')
        .argParser(sharePercent),
    )
    .action(async (name: DrillName | 'all', options: DrillCall) => {
      const { drill } = await import('../commands/drill.ts')
      const { abortAbove, config, dryRun, for: faultMs, safe, yes } = options
      const flags = { yes: yes === true, dryRun: dryRun === true, safe: safe === true }
      await finish(drill(output(), name, { config, faultMs, abortAbove, ...flags }))
    })

  command('demo', 'two hosts, a center and a registry on this machine, with traffic and a live view', [
    'hostmesh demo',
    'hostmesh demo --once',
    'hostmesh demo --nacos 127.0.0.1:8848',
  ])
    .option('--once', 'run the scenario, print a verdict table, exit 0 or 1')
    .option('--nacos <address>', 'use this Nacos server instead of the embedded registry')
    .action(async (options: { once?: boolean; nacos?: string }) => {
      const { demo } = await import('../demo/demo.ts')
      await finish(demo(output(), { once: options.once === true, nacos: options.nacos }))
    })

  command('completion', 'print the completion script of a shell; packages install them', [
    'hostmesh completion bash > /etc/bash_completion.d/hostmesh',
    'hostmesh completion zsh > /usr/local/share/zsh/site-functions/_hostmesh',
  ])
    .addArgument(new Argument('<shell>', 'whose script').choices(shells))
    .action(async (shell: Shell) => {
      const { completion } = await import('../commands/completion.ts')
      await finish(completion(output(), shell, program))
    })
}
