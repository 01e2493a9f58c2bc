import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { entryPoint } from '../../../cli/entry-point.ts'
import { startConsulStandIn } from '../../support/consul/stand-in.ts'
import { startNameServer } from '../../support/dns/server.ts'
import { needsEtcd, startEtcd } from '../../support/etcd/server.ts'
import type { EtcdServer } from '../../support/etcd/server.ts'
import { freePort } from '../../support/free-port.ts'
import { startKubernetesStandIn } from '../../support/kubernetes/stand-in.ts'
import { needsZooKeeper, startZooKeeper } from '../../support/zookeeper/server.ts'
import type { ZooKeeperServer } from '../../support/zookeeper/server.ts'

interface Finding {
  readonly registry: string
  readonly question: string
  readonly problem?: string
}

describe('hostmesh check --online asks every kind of registry', function () {
  this.timeout(60_000)
  let folder: string
  let zookeeper: ZooKeeperServer
  let etcd: EtcdServer
  let consul: Awaited<ReturnType<typeof startConsulStandIn>>
  let cluster: Awaited<ReturnType<typeof startKubernetesStandIn>>
  let names: Awaited<ReturnType<typeof startNameServer>>

  before(async function () {
    await needsZooKeeper(this)
    await needsEtcd(this)
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-check-kinds-'))
    ;[zookeeper, etcd, consul, cluster, names] = await Promise.all([
      startZooKeeper(),
      startEtcd(),
      startConsulStandIn(),
      startKubernetesStandIn(),
      startNameServer(),
    ])
    consul.token = 'right'
    cluster.token = 'right'
  })
  after(async () => {
    const started: readonly ({ stop(): Promise<void> } | undefined)[] = [zookeeper, etcd, consul, cluster, names]
    await Promise.all(started.flatMap((one) => (one === undefined ? [] : [one.stop()])))
    rmSync(folder, { recursive: true, force: true })
  })

  /** With these ports and this token. */
  const check = (ports: Record<'zookeeper' | 'etcd' | 'consul' | 'cluster' | 'names', number>, token: string) => {
    const at = (port: number): string => `127.0.0.1:${port}`
    const write = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 })
      return join(folder, name)
    }
    const kubeconfig = write(
      'kubeconfig',
      stringify({
        'current-context': 'test',
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'agent' } }],
        clusters: [{ name: 'test', cluster: { server: `http://${at(ports.cluster)}` } }],
        users: [{ name: 'agent', user: { token } }],
      }),
    )
    const file = write(
      'agent.yaml',
      stringify({
        host: { address: '127.0.0.1' },
        registries: [
          { name: 'zookeeper', type: 'zookeeper', servers: [at(ports.zookeeper)], layout: 'plain' },
          { name: 'etcd', type: 'etcd', servers: [at(ports.etcd)] },
          { name: 'consul', type: 'consul', servers: [at(ports.consul)], tokenFile: write('token', `${token}\n`) },
          { name: 'cluster', type: 'kubernetes', kubeconfig },
          { name: 'names', type: 'dns', servers: [at(ports.names)] },
        ],
        runDir: './run',
        stateDir: './state',
        servicesDir: './s',
        rulesDir: './r',
      }),
    )
    return new Promise<{ code: number; findings: readonly Finding[] }>((resolve) => {
      const child = execFile(
        process.execPath,
        [entryPoint('cli/main'), 'check', '-c', file, '--online', '--json'],
        (_error, stdout, stderr) => {
          if (stdout === '') throw new Error(stderr)
          resolve({
            code: child.exitCode ?? -1,
            findings: (JSON.parse(stdout) as { registries: Finding[] }).registries,
          })
        },
      )
    })
  }
  const living = () => ({
    zookeeper: zookeeper.port,
    etcd: etcd.port,
    consul: consul.port,
    cluster: cluster.port,
    names: names.port,
  })

  it('and has no complaint about those that answer', async () => {
    const { code, findings } = await check(living(), 'right')
    expect(findings.filter(({ problem }) => problem !== undefined)).to.deep.equal([])
    expect(
      findings.filter(({ question }) => question === 'lists services').map(({ registry }) => registry),
    ).to.have.members(['zookeeper', 'etcd', 'consul', 'cluster', 'names'])
    expect(code).to.equal(0)
  })

  it('and names the refusal of a wrong token', async () => {
    const { code, findings } = await check(living(), 'wrong')
    for (const name of ['consul', 'cluster'])
      expect(findings.find(({ registry, problem }) => registry === name && problem !== undefined)?.problem).to.contain(
        'E_REGISTRY_DENIED',
      )
    expect(code).not.to.equal(0)
  })

  it('and names those that nobody answers for', async () => {
    const ports = {
      zookeeper: await freePort(),
      etcd: await freePort(),
      consul: await freePort(),
      cluster: await freePort(),
      names: await freePort(),
    }
    const { code, findings } = await check(ports, 'right')
    for (const name of ['zookeeper', 'etcd', 'consul', 'cluster', 'names'])
      expect(
        findings.find(({ registry, problem }) => registry === name && problem !== undefined)?.problem,
        name,
      ).to.match(/E_REGISTRY_(UNREACHABLE|TIMEOUT)/)
    expect(code).not.to.equal(0)
  })
})
