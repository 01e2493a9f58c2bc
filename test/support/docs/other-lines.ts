/**
 * Lines of the documentation that call no `hostmesh`, and need no machine of their own (`machine-lines.ts`): who runs
 * each.
 */

export type Taken =
  /** Run from the checkout, with what makes it short; it must end well. */
  | { readonly run: string }
  /** A test does what the line says: its text holds `what`. */
  | { readonly spec: string; readonly what: string }

/** Of a command that goes on for minutes to hours: its files are read and hold together, and nothing of them runs. */
const none = "-- --grep 'none of these'"

/** By whole line. */
export const otherLines: Readonly<Record<string, Taken>> = {
  'npm ci': { spec: '.ci/run', what: 'npm ci' },
  'npm ci && npm test': { spec: '.ci/run', what: 'npm ci && npm test' },
  'npm ci && npm start': { spec: 'test/e2e/spine/demo.spec.ts', what: "['cli/main.ts', 'demo'" },
  'npm start -- --once': { spec: 'test/e2e/spine/demo.spec.ts', what: "'demo', '--once'" },
  'npm start -- --nacos HOST:PORT': { spec: 'test/e2e/spine/demo.spec.ts', what: "'--nacos', nacos.address" },
  'npm run check': { spec: 'test/unit/project.spec.ts', what: "'--type-aware', '--deny-warnings'" },
  'npm test -- unit': { spec: 'test/unit/scripts/run-tests.spec.ts', what: 'scripts/run-tests.ts' },
  'npm run coverage': {
    // the same over one spec
    run: 'npx c8 --reporter=text-summary --temp-directory "$(mktemp -d)" node scripts/node.js scripts/run-tests.ts test/unit/bench/scenario.spec.ts',
  },
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
  'npm run bench -- overload': { run: 'npm run bench -- overload --list' },
  'npm run bench -- http1 features bulk latency --against FOLDER': {
    run: 'npm run bench -- http1 features bulk latency --list',
  },
  'npm run bench:center': { run: 'npm run bench:center -- --list' },
  'npm run bench:change': { spec: 'test/e2e/center/change-to-request.spec.ts', what: 'HOSTMESH_ALONE' },
  'npm run bench:registries': { run: 'npm run bench:registries -- --list' },
  'npm run bench:continuity': { run: 'npm run bench:continuity -- --list' },
  'npm run bench:nacos': { run: 'npm run bench:nacos -- --list' },
  'npm run bench:stampede': { spec: 'test/e2e/continuity/stampede.spec.ts', what: 'HOSTMESH_ALONE' },
  'npm run soak:collector': { spec: 'test/e2e/telemetry/collector-gone.spec.ts', what: 'HOSTMESH_GONE_MINUTES' },
  'npm run soak:center': { spec: 'test/e2e/center/killed.spec.ts', what: 'HOSTMESH_KILLS' },
  'npm run soak:registries': { spec: 'test/e2e/registries/outage.spec.ts', what: 'HOSTMESH_OUTAGE_SECONDS' },
  'npm run soak:sdk': { spec: 'test/e2e/sdk/modes.spec.ts', what: 'HOSTMESH_SWITCHES' },
  'npm run soak:grpc': { run: `npm run soak:grpc ${none}` },
  'npm run soak:streams': { run: `npm run soak:streams ${none}` },
  'npm run soak:rpc': { run: `npm run soak:rpc ${none}` },
  'npm run soak:console': { run: `npm run soak:console ${none}` },
  'npm run test:kubernetes': { run: `npm run test:kubernetes ${none}` },
  'npm run ansible': { run: `npm run ansible ${none}` },
  'ansible-galaxy collection install --offline ./ansible': {
    spec: 'test/e2e/ansible.spec.ts',
    what: "spawnSync('ansible-galaxy', ['collection', 'install', '--offline', './ansible']",
  },
  'ansible-playbook -i inventory.yaml hostmesh.mesh.deploy': { spec: 'test/real/ansible.spec.ts', what: 'deploy' },
  'ansible-playbook -i inventory.yaml hostmesh.mesh.uninstall': {
    spec: 'test/real/ansible.spec.ts',
    what: 'uninstall',
  },
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
  // what ssh reads of it; the other machine is left out
  'ssh -N -L 15000:127.0.0.1:15000 web-1': {
    run: 'ssh -G -N -L 15000:127.0.0.1:15000 web-1 | grep -q "^localforward 15000"',
  },
  'apt install': { spec: 'test/support/docs/machine-lines.ts', what: 'apt install -y ./hostmesh_0.1.1_amd64.deb' },
  'systemctl reload': { spec: 'test/support/docs/machine-lines.ts', what: "'systemctl reload hostmesh'" },
  'man hostmesh': {
    spec: 'test/support/continuity/package-guest.ts',
    what: '/usr/share/man/man1/hostmesh-status.1.gz',
  },
  'kill -9': { spec: 'test/e2e/continuity/whole-hosts.spec.ts', what: 'SIGKILL' },
  'htpasswd -s': { spec: 'test/unit/agent/worker/filters/user/builtin/basic-auth.spec.ts', what: '{SHA}' },
  'nc -N': { spec: 'test/unit/agent/worker/forward/half-closed.spec.ts', what: 'answered' },
}
