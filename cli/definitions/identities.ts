/** Commands about certificates: of this host, and of the authority in a center. */
import { Option } from 'commander'
import type { AgentCall, CommandLine } from '../command-line.ts'
import {
  adminOption,
  collect,
  configOption,
  defaultCenterConfig,
  defaultConfig,
  durationMs,
  lifetimeMs,
} from '../options.ts'

export function defineIdentities({ command, context, finish, output }: CommandLine): void {
  command('join', 'get the certificate of this host from a center, with a token that was made there', [
    'hostmesh join --token-file /root/token',
    'hostmesh join --center 10.0.0.8:15012 --token-file /root/token --ca-pin 5f2c…',
  ])
    .addOption(configOption(defaultConfig))
    .requiredOption('--token-file <file>', 'file with the token that `hostmesh ca token` printed')
    .option('--center <host:port>', 'authority of the center; default: identity.authorities of the configuration')
    .option('--ca-pin <sha256>', 'public key of the root, hex; default: the one in the token')
    .action(async (options: { config: string; tokenFile: string; center?: string; caPin?: string }) => {
      const { joinHost } = await import('../commands/join.ts')
      await finish(joinHost(output(), options))
    })

  command('certs', 'certificates of this host and its applications: names, ages, next renewal', [
    'hostmesh certs',
    'hostmesh certs --chain',
    'hostmesh certs --json',
  ])
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .option('--chain', 'print the certificates, too, PEM')
    .action(async (options: AgentCall & { chain?: boolean }) => {
      const { certs } = await import('../commands/certs.ts')
      await finish(certs(await context(options), options.chain === true))
    })

  const mtls = command('mtls', 'mutual TLS of the inbound ports', [
    'hostmesh mtls plan',
    'hostmesh mtls plan --during 10m',
  ])
  mtls
    .command('plan')
    .description('who still calls in plain, before STRICT is switched on')
    .exitOverride()
    .addOption(configOption(defaultConfig))
    .addOption(adminOption())
    .addOption(new Option('--during <duration>', 'what comes from now on, instead of all so far').argParser(durationMs))
    .action(async (options: AgentCall & { during?: number }) => {
      const { mtlsPlan } = await import('../commands/mtls.ts')
      await finish(mtlsPlan(await context(options), { during: options.during }))
    })

  const ca = command('ca', 'the certificate authority of a center; run on its machine', [
    'hostmesh ca show',
    'hostmesh ca token --host web-1 --identity ns/default/sa/orders > token',
    'hostmesh ca rotate',
    'hostmesh ca deny --host web-1 --reason stolen',
  ])

  const caCommand = (name: string, description: string) =>
    ca
      .command(name)
      .description(description)
      .exitOverride()
      .addOption(configOption(defaultCenterConfig))
      .addOption(adminOption())

  caCommand('show', 'roots, rotation, joined hosts, open tokens, what is denied').action(async (options: AgentCall) => {
    const { showAuthority } = await import('../commands/ca.ts')
    await finish(showAuthority(await context(options)))
  })

  caCommand('token', 'make a token for one host to join with; it is printed once')
    .requiredOption('--host <name>', 'host.name of its configuration')
    .option(
      '--identity <pattern>',
      'ns/NAMESPACE/sa/ACCOUNT that its applications may be; may be repeated',
      collect,
      [],
    )
    .addOption(new Option('--ttl <duration>', 'the token ends after').default(3_600_000, '1h').argParser(lifetimeMs))
    .option('--reusable', 'the host may use it again until it ends, instead of once')
    .action(async (options: AgentCall & { host: string; identity: string[]; ttl: number; reusable?: boolean }) => {
      const { makeToken } = await import('../commands/ca.ts')
      await finish(makeToken(await context(options), options))
    })

  caCommand('rotate', 'change the root with overlap: spread the new one, sign with it, let the old one go').action(
    async (options: AgentCall) => {
      const { rotateRoot } = await import('../commands/ca.ts')
      await finish(rotateRoot(await context(options)))
    },
  )

  for (const name of ['deny', 'allow'] as const)
    caCommand(name, name === 'deny' ? 'give no certificates any more' : 'take a denial back')
      .option('--host <name>', 'to a host')
      .option('--identity <id>', 'of a name, ns/NAMESPACE/sa/ACCOUNT, alone or behind spiffe://TRUST-DOMAIN/')
      .option('--serial <hex>', 'to who shows the certificate with this serial number, with or without colons')
      .option('--reason <text>', 'for the log', 'by an operator')
      .action(async (options: AgentCall & { host?: string; identity?: string; serial?: string; reason: string }) => {
        const { changeDenial } = await import('../commands/ca.ts')
        await finish(changeDenial(await context(options), name, options))
      })
}
