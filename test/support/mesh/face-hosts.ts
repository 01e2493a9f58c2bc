import type { DemoHost, Mesh } from './mesh.ts'

/** Two hosts, `alpha` and `beta`, each with the Nacos face at the usual ports of its own address; ready. */
export async function startFaceHosts(mesh: Mesh): Promise<[alpha: DemoHost, beta: DemoHost]> {
  const started = (name: string): DemoHost => {
    const host = mesh.host(name)
    Object.assign(host.options, {
      extra: {
        nacosFace: {
          enabled: true,
          address: host.options.address,
          httpPort: 8848,
          grpcPort: 9848,
          configWrites: 'granted',
        },
      },
    })
    host.start()
    return host
  }
  const hosts: [DemoHost, DemoHost] = [started('alpha'), started('beta')]
  await Promise.all(hosts.map((host) => host.ready()))
  return hosts
}
