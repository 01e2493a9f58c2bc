/** What every command is defined with: the program, its output, and the way to the agent or watchdog that is asked. */
import { Command } from 'commander'
import { adminClient, whereAllowed } from './admin-client.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodeHelp } from './exit-codes.ts'
import { type Output, createOutput } from './output.ts'
import { productVersion } from './version.ts'

const adminTimeoutMs = 10_000

interface GlobalOptions {
  json?: boolean
}

/** How a command that asks a running agent names it. */
export interface AgentCall {
  config: string
  admin?: string
}

/** How a command that asks a running watchdog names it. */
export interface WatchdogCall {
  config: string
  runDir?: string
}

export interface CommandLine {
  readonly program: Command
  output(): Output
  command(name: string, description: string, examples: readonly string[]): Command
  /** The exit code of a command is its result; long-running ones resolve when they are told to stop. */
  finish(work: ExitCode | Promise<ExitCode>): Promise<void>
  context(call: AgentCall): Promise<CommandContext>
  runDirOf(call: WatchdogCall): Promise<string>
}

/** The program without commands yet. */
export function createCommandLine(): CommandLine {
  const program = new Command('hostmesh')
    .description(
      'Node-level service mesh: one agent per machine, three tiers for traffic, connections that survive a restart.',
    )
    .version(productVersion())
    .option('--json', 'one JSON value on standard output, no colours, no tables')
    .showHelpAfterError('(hostmesh help COMMAND shows what is allowed)')
    .addHelpText('after', exitCodeHelp)
    .exitOverride()

  const output = (): Output => {
    const sinks = { out: process.stdout, err: process.stderr }
    return createOutput(program.opts<GlobalOptions>().json === true, sinks, process.env)
  }
  return {
    program,
    output,
    command: (name, description, examples) =>
      program
        .command(name)
        .description(description)
        .exitOverride()
        .addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}\n${exitCodeHelp}`),
    finish: async (work) => {
      process.exitCode = await work
    },
    context: (call) => contextOf(call, output()),
    runDirOf,
  }
}

async function contextOf({ config, admin }: AgentCall, output: Output): Promise<CommandContext> {
  const { checkSocket, ownerOf } = await import('./trusted-socket.ts')
  if (admin !== undefined) {
    if (admin.startsWith('/')) checkSocket(admin)
    return { output, admin: adminClient(admin, adminTimeoutMs), runDir: undefined }
  }
  const { locateAgent } = await import('./locate-agent.ts')
  const { socket, address, runDir } = locateAgent(config)
  checkSocket(socket, ownerOf(runDir))
  const atSocket = adminClient(socket, adminTimeoutMs)
  if (address === undefined) return { output, admin: atSocket, runDir }
  const { strangerAt } = await import('./stranger.ts')
  const atAddress = adminClient(address, adminTimeoutMs, (connection) => strangerAt(connection, runDir))
  return { output, admin: whereAllowed(atSocket, atAddress), runDir }
}

async function runDirOf({ config, runDir }: WatchdogCall): Promise<string> {
  if (runDir !== undefined) return runDir
  const { locateAgent } = await import('./locate-agent.ts')
  return locateAgent(config).runDir
}
