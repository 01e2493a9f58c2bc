/** `hostmesh completion SHELL`: a script for the shell, written from the definitions of the command itself. */
import type { Command } from 'commander'
import { type CommandView, commandTree } from '../command-tree.ts'
import { bashCompletion } from '../completion/bash.ts'
import { fishCompletion } from '../completion/fish.ts'
import type { Shell } from '../completion/words.ts'
import { zshCompletion } from '../completion/zsh.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'

const writers: Readonly<Record<Shell, (program: CommandView) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

export function completionScript(shell: Shell, program: Command): string {
  return writers[shell](commandTree(program))
}

export function completion(output: Output, shell: Shell, program: Command): ExitCode {
  output.line(completionScript(shell, program).trimEnd())
  return exitCodes.ok
}
