// Grafana's dashboards are what Grafana's own types say a dashboard is: the committed JSON is compiled as
// a value of the type Dashboard of @grafana/schema, and each panel's options and fields as those of its kind.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const installed = resolve(process.env.PENSTOCK_CLIENTS);
const require = createRequire(join(installed, 'package.json'));
const ts = require('typescript');
const folder = fileURLToPath(new URL('../../deploy/grafana/dashboards', import.meta.url));

// JSON has no enumerations: their values stand for them.
const PLAIN = `
type Plain<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends (infer E)[] ? Plain<E>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Target = { refId: string; datasource: { type: 'prometheus'; uid: string }; expr: string; legendFormat: string;
  editorMode: 'code'; range: boolean; instant: boolean; exemplar: boolean; format?: 'table' | 'heatmap' };
`; // the package leaves a query to its data source, and takes anything for one
const KINDS = { timeseries: 'TimeSeries', stat: 'Stat', heatmap: 'Heatmap', 'state-timeline': 'StateTimeline', table: 'Table' };

function faults(source) {
  const place = mkdtempSync(join(installed, 'dashboards-'));
  try {
    const file = join(place, 'dashboard.ts');
    writeFileSync(file, source);
    const program = ts.createProgram([file], {
      strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, types: [],
    });
    return ts.getPreEmitDiagnostics(program).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
  } finally {
    rmSync(place, { recursive: true });
  }
}

function sourceOf(dashboard) {
  const kinds = [...new Set(dashboard.panels.map((panel) => panel.type))].filter((kind) => kind !== 'row');
  const imports = kinds.map((kind) => {
    const name = KINDS[kind];
    // By its file: the package does not offer these types by its own name.
    const path = join(installed, 'node_modules/@grafana/schema/dist/esm/raw/composable', kind.replace('-', ''),
      `panelcfg/x/${name}PanelCfg_types.gen`);
    const fields = kind === 'stat' ? `type ${name}Fields = Record<string, never>;` // it has none of its own
      : `import type { FieldConfig as ${name}Fields } from '${path}';`;
    return `import type { Options as ${name}Options } from '${path}';\n${fields}`;
  });
  const options = dashboard.panels.filter((panel) => panel.type !== 'row').map((panel) =>
    `const options${panel.id}: Plain<Partial<${KINDS[panel.type]}Options>> = ${JSON.stringify(panel.options)};
     const fields${panel.id}: Plain<Partial<${KINDS[panel.type]}Fields>> = ${
       JSON.stringify(panel.fieldConfig.defaults.custom)};
     const targets${panel.id}: Target[] = ${JSON.stringify(panel.targets)};`);
  return [`import type { Dashboard } from '@grafana/schema';`, ...imports, PLAIN,
    `const dashboard: Plain<Dashboard> = ${JSON.stringify(dashboard)};`, ...options,
    'export { dashboard };'].join('\n');
}

const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

test('there are dashboards', () => assert.ok(files.length >= 4));

for (const name of files) {
  test(`${name} is a dashboard`, () => {
    const dashboard = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    assert.deepEqual(faults(sourceOf(dashboard)), []);
  });
}

test('what is no dashboard is found', () => {
  const dashboard = JSON.parse(readFileSync(join(folder, files[0]), 'utf8'));
  dashboard.panels[1].gridPos.h = 'high';
  dashboard.panels[1].options.colorMode = 'loud';
  const lines = dashboard.panels.find((panel) => panel.type === 'timeseries');
  lines.fieldConfig.defaults.custom.lineWidht = 1;
  lines.targets[0].legend = 'no such member';
  assert.equal(faults(sourceOf(dashboard)).length, 4);
});
