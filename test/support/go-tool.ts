/**
 * Programs of other projects that serve as judges and peers, built from their Go modules, once per machine: later runs
 * find them in a cache.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface GoTool {
  readonly module: string
  readonly version: string
  /** Path of the program's package below the module; '' = the module's own. */
  readonly folder: string
  /** A program of one file in these tests, built with the module's packages, in place of a package of the module. */
  readonly source?: string
  /** More modules that it takes packages from, `MODULE@VERSION`. */
  readonly beside?: readonly string[]
}

export const h2spec: GoTool = {
  module: 'github.com/summerwind/h2spec',
  version: 'v2.2.1+incompatible',
  folder: 'cmd/h2spec',
}
export const interopClient: GoTool = {
  module: 'google.golang.org/grpc',
  version: 'v1.85.0',
  folder: 'interop/client',
}
/** Of these tests, with the packages of that module. */
export const interopServer: GoTool = {
  ...interopClient,
  folder: '',
  source: join(import.meta.dirname, 'http2/interop-server.go'),
}

/** Of these tests: Grafana's own definitions of dashboards. Grafana itself is not to be had. */
export const dashboardReader: GoTool = {
  module: 'github.com/grafana/grafana-foundation-sdk/go',
  version: 'v0.0.22',
  folder: '',
  source: join(import.meta.dirname, 'observability/read-dashboard.go'),
}

/** Of these tests: a control plane for Envoys, by Envoy's own library for them. */
export const controlPlane: GoTool = {
  module: 'github.com/envoyproxy/go-control-plane',
  version: 'v0.14.0',
  folder: '',
  source: join(import.meta.dirname, 'xds/control-plane.go'),
}

/** Of these tests: the receivers of the OpenTelemetry collector for OTLP and Zipkin, without the rest of it. */
export const collectorReceivers: GoTool = {
  module: 'go.opentelemetry.io/collector/receiver/otlpreceiver',
  version: 'v0.165.0',
  beside: ['github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver@v0.165.0'],
  folder: '',
  source: join(import.meta.dirname, 'otlp/receive.go'),
}

/** Its path, or why it is not there. */
export async function goTool(tool: GoTool): Promise<{ program: string } | { missing: string }> {
  const { beside = [], folder, module, version } = tool
  const source = tool.source === undefined ? undefined : readFileSync(tool.source)
  const own = source === undefined ? folder : createHash('sha256').update(source).digest('hex').slice(0, 16)
  const name = `${module}/${own}@${version}`.replaceAll(/[^a-z0-9.]+/gi, '-')
  const home = join(homedir(), '.cache', 'hostmesh-tests', name)
  const program = join(home, 'program')
  if (existsSync(program)) return { program }
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'go.mod'), 'module build\n\ngo 1.25.0\n')
  if (source !== undefined) writeFileSync(join(home, 'main.go'), source)
  const env = { ...process.env, GOFLAGS: '-mod=mod', CGO_ENABLED: '0' }
  try {
    await run('go', ['get', `${module}@${version}`, ...beside], { cwd: home, env })
    await run('go', ['build', '-o', program, source === undefined ? `${module}/${folder}` : '.'], { cwd: home, env })
    return { program }
  } catch (error) {
    return { missing: `${module} cannot be built: ${(error as Error).message.split('\n')[0] ?? ''}` }
  }
}
