/** The commands of the documentation: lines of its code blocks, and what stands in its sentences. */
import { globSync, readFileSync } from 'node:fs'

/** What readers are told; decision records tell what was. */
export const pages: readonly string[] = [
  'README.md',
  'README.zh.md',
  'CONTRIBUTING.md',
  ...globSync('docs/**/*.md').filter((file) => !file.startsWith('docs/decisions/')),
]

/** A sentence, or a line of a block that is no shell's, is a command when it begins with one of these and goes on. */
const programs = [
  'ansible-galaxy',
  'ansible-playbook',
  'apt',
  'apt-get',
  'chmod',
  'chown',
  'curl',
  'dig',
  'docker',
  'dpkg',
  'git',
  'go',
  'grpcurl',
  'hostmesh',
  'htpasswd',
  'istioctl',
  'java',
  'journalctl',
  'kill',
  'kubectl',
  'logrotate',
  'make',
  'man',
  'mvn',
  'nc',
  'node',
  'npm',
  'npx',
  'openssl',
  'pip',
  'podman',
  'promtool',
  'python3',
  'runuser',
  'ssh',
  'sudo',
  'sysctl',
  'systemctl',
  'systemd-analyze',
  'tar',
  'useradd',
  'wget',
]

interface Block {
  /** `sh`, `yaml`, `text`; a page that is followed step by step also says where: `sh a`. */
  readonly kind: string
  readonly text: string
}

export function blocksOf(file: string): Block[] {
  return [...readFileSync(file, 'utf8').matchAll(/^ *```([^\n]*)\n(.*?)^ *```$/gms)].map(([, kind, text]) => ({
    kind: kind!,
    text: text!,
  }))
}

/** Words of a shell line up to a pipe, a redirection or a remark in prose (two spaces and more). */
export function wordsOf(line: string): string[] {
  return (beforeShell(line).match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^(['"])(.*)\1$/, '$2'))
}

function beforeShell(line: string): string {
  return line.replace(/ {2,}.*$/, '').split(/ [|>&]|;| #| 2>/)[0]!
}

/** In code blocks: `hostmesh …`, up to what the shell does with it, and a page where it stands. */
export function commandsOfDocs(): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of pages)
    for (const line of commandsIn(file)) if (!file.endsWith('quick-start.md')) found.set(beforeShell(line), file)
  return found
}

export function commandsIn(file: string): string[] {
  return blocksOf(file)
    .flatMap(({ text }) => text.split('\n'))
    .map((line) => /(?:^|\$ +|until |\bbin\/)(hostmesh [a-z].*)$/.exec(line.trim())?.[1])
    .filter((line) => line !== undefined)
}

/**
 * Whole lines of blocks of `sh`, without prompt and remark, of whatever program but ours; of other blocks those that
 * begin with a program that is known here. Pages that are followed step by step have a spec of their own.
 */
export function shellLines(): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of pages)
    for (const { kind, text } of blocksOf(file)) {
      if (kind.startsWith('sh ')) continue
      for (const line of text.replaceAll(/ *\\\n\s*/g, ' ').split('\n')) {
        const command = line
          .trim()
          .replace(/^\S*\$ +/, '')
          .replace(/ +#.*$/, '')
        if (command === '' || (kind !== 'sh' && !isCommand(command))) continue
        if (!isOurs(command) || command.includes('&&')) found.set(command, file)
      }
    }
  return found
}

/** Commands in the middle of sentences. */
export function namedCommands(): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of pages) {
    const prose = readFileSync(file, 'utf8').replaceAll(/^ *```[^\n]*\n.*?^ *```$/gms, '')
    for (const [, span] of prose.matchAll(/`([^`\n]+)`/g)) if (isCommand(span!)) found.set(span!, file)
  }
  return found
}

const isCommand = (line: string): boolean => programs.some((program) => line.startsWith(`${program} `))
export const isOurs = (command: string): boolean => command.startsWith('hostmesh ')
