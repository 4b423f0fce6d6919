#include "complexity/words.h"

#include <algorithm>
#include <array>

namespace penstock::complexity {
namespace {

struct List {
  Sign sign;
  std::string_view words;
};

// `word`: itself. `stem*`: what begins so. `two_words`: one behind the other. Chinese and Japanese
// stand without spaces: a sequence is found wherever it is. All in lower case.
constexpr std::array kLists = {
    // ---- the answer is to be short -----------------------------------------------------------
    List{Sign::brief,
         "just only quick quickly one_line one_word one_sentence one_number single_word yes_or "
         "or_no nothing_else no_comments in_short tldr tl;dr one_more few_words words_max "
         "the_name the_number the_date by_name btw no_explanation short_answer is_enough "
         "just_quote or_fewer fewer_words single_line simply_tell simply_say real_quick "
         "plain_words exactly_one"},
    List{Sign::brief,
         "nur bloß kurz kürzer ein_wort ein_satz ja_oder schnell seulement juste un_mot une_phrase "
         "oui_ou vite solo solamente una_palabra una_frase sí_o rápido rapido только просто "
         "коротко одним_словом да_или быстро 一句话 一个词 只要 只需 简单 是不是 一言 一語 だけ "
         "手短に はい_か soltanto una_parola apenas só uma_palavra tylko krótko jednym_słowem "
         "alleen één_woord 한마디 간단히 만"},
    // ---- a fact, a look-up, a small change ----------------------------------------------------
    List{
        Sign::fact,
        "what's whats what_is what_was what_are who_is who_was who's is_it is_this is_that "
        "is_there are_there does_it do_you can_i are_you did_i which_one what_time what_day "
        "how_many how_much how_old how_long how_far how_tall how_big capital spell spelled "
        "spelling "
        "synonym antonym abbreviation acronym stand_for stands_for called named located invented "
        "founded wrote discovered born died say_in read_me tell_me look_up remind status today "
        "tomorrow yesterday weather "
        "was_ist wer_ist wie_viele wie_viel wieviel wie_heißt gibt_es haben_sie habt hauptstadt "
        "buchstabiert heißt heute est_ce c'est qu'est capitale avez_vous aujourd'hui qué_es que_es "
        "capital_de cuánto cuanto cuántos cuántas hoy что_такое кто_такой сколько столица сегодня "
        "什么是 是什么 是谁 多少 几点 几个 首都 今天 何ですか いくつ いくら 今日 chi_è quanti "
        "quanto "
        "dove_si quantos quem_é ile hoeveel 몇 얼마 오늘"},
    List{Sign::wh,
         "what which who whom whose when where why how whether "
         "wer wen wem wann wo wohin welche welcher welches welchen wie wieso warum weshalb wofür "
         "qui que quoi quand où quel quelle quels quelles comment pourquoi combien "
         "quién cuándo cuando dónde cuál cuáles cómo qué por_qué "
         "кто что когда где какой какая какое какие как почему зачем сколько чем "
         "什么 谁 哪 哪些 哪个 如何 怎么 怎样 为什么 何 誰 いつ どこ どの どれ どう なぜ どちら "
         "chi cosa quando dove quale quali perché quem qual onde como kto co kiedy gdzie który "
         "jak dlaczego wat waar wanneer waarom hoe welke 누가 무엇 언제 어디 어떻게 왜 كيف لماذا "
         "ما متى أين من"},
    List{Sign::choice,
         "or either oder ou или либо 还是 或者 それとも または oppure lub albo ofwel 아니면"},
    List{
        Sign::size,
        "words sentences sentence paragraph paragraphs characters chars pages page lines bullet "
        "bullets bullet_points roughly wörter sätze satz zeichen seite seiten mots phrases lignes "
        "palabras frases líneas слов предложени* абзац* 字 句 文字 行 以内で parole frasi palavras "
        "słów zdani* woorden zinnen"},
    List{Sign::small_task,
         "translate translation convert define definition extract count sort alphabetize "
         "alphabetically capitalize lowercase uppercase remove duplicates misspelled typo typos "
         "rename replace classify sentiment tag categorize label proofread round complete fill_in "
         "turn_on turn_off set_timer timer remind_me reminder open read order_status track "
         "rephrase reword shorten paraphrase rewrite_in"},
    List{Sign::small_task,
         "übersetz* umrechn* definier* zähl* sortier* entfern* korrigier* formulier* traduis "
         "traduire traduisez traduction convertis définis définition compte corrige traduce "
         "traducir traducción convierte define_la cuenta corrige_la переведи* перевод перевести "
         "исправь* определение посчитай 翻译 翻成 译成 换算 定义 纠正 翻訳 訳して 英語で 数えて "
         "traduci tradurre correggi traduza traduzir przetłumacz popraw vertaal 번역 맞춤법"},
    List{Sign::social,
         "hi hello hey thanks thank thx ty cheers bye goodbye good_morning good_night "
         "good_evening lol haha cool nice great ok okay super perfect lovely joke sorry welcome "
         "hallo moin danke tschüss guten_morgen bonjour merci salut hola gracias buenas adiós "
         "привет спасибо здравствуйте 你好 您好 谢谢 再见 こんにちは ありがとう おはよう ciao "
         "grazie olá obrigado obrigada cześć dzięki dzień_dobry dank hoi 안녕 감사 مرحبا شكرا"},
    // ---- a handful of steps -------------------------------------------------------------------
    List{Sign::explain,
         "how_does how_do how_can how_should how_would why_does why_do why_is explain explains "
         "explanation describe "
         "difference differences differ compare comparison versus vs pros cons advantages "
         "disadvantages walk_me what_happens works work causes cause reason reasons tell_apart "
         "options should_i can_something overview outline understand happens"},
    List{Sign::explain,
         "wie_funktioniert erklär* beschreib* unterschied* vergleich* vorteil* nachteil* "
         "funktioniert explique* expliquer décri* différence* compare* marche "
         "avantage* explica* diferencia* compara* ventaja* funciona "
         "объясни* опиши* чем_отличается отличается разница сравни* работает "
         "解释 说明 区别 比较 优缺点 どうやって 説明 違い 比較 仕組み come_funziona "
         "spieghi spiega* differenza explique diferença wyjaśnij "
         "różnica leg_uit verschil 설명 차이 비교 اشرح الفرق"},
    List{Sign::make,
         "write draft create generate summarize summarise summary summarised rewrite letter email "
         "mail table suggest recommend recommendation advice add build make function script query "
         "regex recipe poem story speech essay article post quiz memo checklist schedule plan "
         "set_up "
         "implement turn_into turn_this list_the give_me tips ideas steps component class endpoint "
         "schreib* erstell* entwirf fass zusammenfass* tabelle empfiehl* mach brief rezept plane "
         "écri* rédige* résume* crée* tableau lettre recette fais escribe escribir redacta* resume "
         "resumir crea tabla carta receta haz напиши* составь* письмо резюмируй* таблиц* сделай "
         "рецепт план 写 总结 列出 建议 邮件 表格 函数 计划 做 書いて 作成 作って まとめ 要約 "
         "メール 表に 関数 "
         "計画 scrivi riassumi crea_un escreva resuma crie napisz podsumuj zrób schrijf vat_samen "
         "maak "
         "써줘 작성 요약 만들어 اكتب لخص"},
    List{Sign::work,
         "calculate compute solve work_out check find show fix improve clean cleaner refactor test "
         "tests estimate probability probabilities percent percentage interest total average net "
         "verify review edit adapt simplify significant differentiate factor berechn* rechne löse "
         "prüf* zeig* verbesser* rechnung kostet calcule* vérifie* améliore* montre* corrige* "
         "calcula* revisa* mejora* muestra* рассчитай* посчитайте проверь* покажи* улучши* реши* "
         "计算 检查 改进 修改 解 計算 確認 直して 解いて calcola calcule oblicz sprawdź bereken "
         "계산 확인 "
         "احسب"},
    List{
        Sign::fault,
        "error errors bug bugs broken fails failed failing crash crashes exception traceback wrong "
        "doesn't_work not_working hang hangs stuck slow timeout undefined null none segfault "
        "warning returns expected instead debug fehler kaputt geht_nicht hängt absturz erreur "
        "marche_pas plante fallo falla no_funciona ошибк* падает не_работает 错误 报错 崩溃 "
        "エラー 動かない バグ błąd fout 오류 에러 خطأ"},
    // ---- many steps ---------------------------------------------------------------------------
    List{Sign::prove,
         "prove proves proof proofs disprove refute derive derivation derivations deduce lemma "
         "theorem theorems corollary conjecture counterexample counterexamples referee rigorous "
         "rigorously show_that show_every iff if_and axiom* converge* characteri* construct "
         "necessary_and formalise formalize find_all uniqueness isomorphi* "
         "beweis* zeige zeigen_sie herleit* widerleg* satz_von gegenbeispiel folgere démontr* "
         "prouve* déduire déduis montrer_que montrez_que théorème lemme contre-exemple demuestra* "
         "demostra* demostración deduce deduzca teorema lema contraejemplo докаж* доказ* выведи* "
         "теорем* лемм* опроверг* контрпример* 证明 推导 定理 引理 反例 求证 証明 導出 導け 示せ "
         "補題 dimostra* dedurre prove_que demonstre udowodni* dowód twierdzeni* wyprowadź bewijs* "
         "증명 유도 정리 أثبت برهن"},
    List{Sign::design,
         "design designing architect architecture architectural scalable scale scaling migrate "
         "migrating migration redesign multi-region multi-tenant end-to-end roadmap strategy "
         "strategies framework blueprint topology platform system systems infrastructure pipeline "
         "pipelines rollout roll_out rollback cutover zero-downtime no_downtime zero_downtime "
         "monolith microservice* legacy mainframe from_scratch requirements implement_a "
         "reimplement prototype formulate modelling simulate simulation optimise optimize optimal "
         "optimum algorithm solver compiler interpreter scheduler allocator protocol engine "
         "entwirf entwerf* entwurf architektur konzept* konzipier* migrier* umstell* skalier* "
         "strategie fahrplan concevoir conçois conception architecture_de migrer stratégie "
         "diseña* diseño arquitectura migrar estrategia escalable спроектируй* проектир* "
         "архитектур* миграци* стратеги* масштабир* разработай* 设计 架构 迁移 方案 策略 系统 "
         "扩展 優化 优化 設計 アーキテクチャ 移行 戦略 最適化 システム progetta* architettura "
         "projete arquitetura zaprojekt* architektur* przenieść migracj* ontwerp* architectuur "
         "설계 아키텍처 마이그레이션 전략 최적화 صمم"},
    List{
        Sign::deep,
        "trade-off trade-offs tradeoff tradeoffs justify justified weigh weighing consequences "
        "implications assess assessment evaluate evaluation critique root_cause root-cause "
        "post-mortem postmortem incident timeline reconstruct analyse analyze analysis sensitivity "
        "scenario scenarios stakeholder* second-order assumption assumptions failure_modes "
        "failure_mode edge_cases worst_case worst-case bias biases confound* causal hypothes* "
        "in_depth in_detail thorough thoroughly comprehensive holistic* interplay interact "
        "what_if plan_b fallback contingency risk risks mitigation prioritise prioritize rank "
        "ranked dependencies in_parallel step_by each_stage "
        "each_step which_order what_order every_possible every_way "
        "abwäg* begründ* bewert* folgen auswirkung* ursache* szenari* risik* reihenfolge analys* "
        "justifi* évalu* analyse* conséquence* risque* scénario* hypothès* justifica* evalúa* "
        "evalua* analiza* consecuencia* riesgo* escenario* hipótesis обоснуй* обосноват* оцени* "
        "анализ* проанализируй* последстви* риск* сценари* 权衡 论证 评估 分析 风险 利弊 后果 "
        "场景 優先 トレードオフ 評価 分析 リスク 検討 考えて それぞれ ryzyk* uzasadnij analiz* "
        "oceń giustifica* valuta* rischi* riscos avalie beoordeel risico* 분석 평가 위험 حلل"},
    List{Sign::systems,
         "distributed concurrency concurrent race races deadlock deadlocks deadlocked livelock "
         "lock-free lockfree atomic* mutex semaphore thread threads blocked waiting consensus raft "
         "paxos quorum leader replica replicas replication shard shards sharded sharding partition "
         "partitions partitioned partition_tolerance consistency consistent eventual eventually "
         "linearizab* serializab* isolation idempoten* exactly-once at-least-once two-phase saga "
         "outbox cdc event-sourc* eventsourc* crdt crdts failover multi-master latency throughput "
         "p99 p999 backpressure cache-coheren* invariant invariants transactional transactions "
         "lease fencing vector_clock clock_skew gossip byzantine kubernetes mesh namespace "
         "sidecar kafka cluster clusters regions region availability segmentation attacker threat "
         "exploit vulnerab* zero-trust encryption cryptograph* verteilt* nebenläufig* konsistenz* "
         "verfügbarkeit distribué* cohérence concurrence distribuid* consistencia concurrencia "
         "распределённ* распределенн* согласованност* параллельн* 分布式 一致性 并发 高可用 分片 "
         "死锁 幂等 分散 整合 一貫性 可用性 並行 排他 rozproszon* spójnoś* gedistribueerd* 분산 "
         "일관성 동시성"},
    List{Sign::expert,
         "liability liable clause clauses contract contracts statute jurisdiction tort indemnit* "
         "damages breach lawsuit litigation arbitration court gdpr compliance regulator* "
         "regulation statutory employment dismiss* redundanc* works_council union inheritance "
         "estate will_from probate custody alimony tax taxed taxation vat_on directive "
         "tender due_process infringement patent merger acquisition valuation dilution equity debt "
         "covenant* ebitda dcf wacc irr npv hedge hedging derivative options greeks gamma vega "
         "volatility portfolio liquidity margin cash-flow cashflow runway churn cohort "
         "cohorts break-even diagnosis diagnos* differential_diagnosis patient symptoms comorbid* "
         "contraindicat* anticoag* renal hepatic sepsis fever biopsy mri ecg "
         "therapy therap* dosage regimen antibiotic* chemo* endocrin* fertility pregnan* "
         "haftung* haftbar klausel* vertrag* kündig* betriebsrat tarif* erbe* testament* steuer* "
         "dsgvo datenschutz* gesellschafter* verschmelzung bewertung diagnose* befund* patient* "
         "responsabilité clause* contrat* licenciement succession fiscal* juridiqu* tribunal "
         "responsabilidad cláusula* contrato* despido herencia fiscal juríd* diagnóstico "
         "ответственност* договор* увольнен* наследств* налог* суд диагноз* пациент* 法律 合同 "
         "责任 诉讼 税务 继承 劳动法 诊断 患者 症状 估值 法律的 契約 責任 訴訟 相続 税 診断 "
         "odpowiedzialnoś* umow* spadek podatk* rozwód"},
    List{Sign::deep_math,
         "integral integrals eigenvalue* eigenvector* manifold topolog* measure_theory hilbert "
         "banach galois homolog* cohomolog* group_of subgroup* ring ideal field polynomial* prime "
         "primes modulo congruen* combinator* asymptotic* bound bounds upper_bound lower_bound "
         "np-hard np-complete stochastic markov brownian martingale lagrang* hamilton* quantum "
         "qubit relativ* tensor perturbation* differential_equation* pde ode fourier laplace "
         "variational convex bayes* posterior likelihood estimator estimators unbiased inequality "
         "orbit precession cardinal* ordinal* untergruppe* gruppe ring* "
         "ungleichung* primzahl* natürliche_zahl sous-groupe* groupe entier* premier* inégalité* "
         "subgrupo* desigualdad* primo* группа подгрупп* неравенств* простых 群 环 域 不等式 素数 "
         "级数 収束 群の 素数の 整数"},
    // ---- more of the same, by field -------------------------------------------------------------
    List{
        Sign::small_task,
        "pronounce pronounced plural tense rhyme rhymes anagram emoji subject_line headline slogan "
        "celsius fahrenheit miles kilometres kilometers inches grams ounces euros dollars format "
        "grammar correct_this fix_the_spelling in_english in_german in_french in_spanish "
        "in_italian turn_off turn_up turn_down switch mute volume play pause alarm send call book "
        "cancel mark_as add_to next_bus next_train phone_number email_address opening_hours "
        "postcode zip_code time_zone auf_deutsch auf_englisch en_anglais en_français en_inglés "
        "en_español на_английский на_русский 用英语 用中文 英文 中文 拼写 英訳 和訳 in_inglese "
        "em_inglês po_angielsku in_het_engels"},
    List{
        Sign::make,
        "cover_letter itinerary workout meal_plan menu lesson agenda dockerfile css html yaml json "
        "bash shell sed awk python javascript typescript java rust golang sql excel formula pivot "
        "dashboard crud login form loop class unit_test unit_tests blog tweet linkedin "
        "press_release "
        "pitch toast invitation reply reply_to template example examples timetable packing_list "
        "budget outline slides presentation abstract bewerbung einladung rede gliederung beispiel* "
        "candidature invitation discours exemple* candidatura invitación discurso ejemplo* резюме "
        "приглашение пример* 例子 模板 简历 提纲 例 履歴書 案内 esempi* exemplo* przykład* "
        "voorbeeld*"},
    List{
        Sign::prove,
        "there_exists exists_a if_and_only induction bijection injective "
        "surjective homeomorph* closed_form closed-form contradiction non-empty nonempty arbitrary "
        "generalise generalize tight strongest prove_that prove_or sketch_a formal formally "
        "soundness completeness decidab* undecidab* reduction_from für_alle genau_dann induktion "
        "widerspruch beliebig* pour_tout il_existe récurrence absurde para_todo existe_un "
        "inducción "
        "для_любого для_всех существует индукци* противн* 任意 存在 当且仅当 归纳法 反证 任意の "
        "帰納法 "
        "存在する 背理法 per_ogni para_qualquer dla_każd* indukcj*"},
    List{
        Sign::design,
        "high_availability disaster_recovery capacity_planning business_plan go-to-market "
        "implementation_plan reorganise reorganize restructure restructuring parser "
        "tokenizer garbage_collector b-tree lsm kernel hypervisor lock-free raytracer raft_leader "
        "state_machine work-stealing thread_pool thread-safe threadsafe rate_limiter load_balancer "
        "message_queue data_model schema_for event-driven cqrs greenfield blue-green canary "
        "feature_store recommender warehouse lakehouse etl governance operating_model "
        "million_users millions_of billion billions per_second rps qps tps sla slo rto rpo "
        "ausfallsicher* hochverfügbar* umsetzungsplan geschäftsplan datenmodell "
        "haute_disponibilité "
        "plan_de plan_d'affaires montée_en modèle_de alta_disponibilidad plan_de_negocio modelo_de "
        "отказоустойчив* бизнес-план бизнес-модел* нагрузк* 高并发 微服务 容灾 架构设计 商业计划 "
        "数据模型 "
        "スケーラ* 冗長 事業計画 マイクロサービス alta_disponibilità wysok* dostępnoś* "
        "schaalbaar*"},
    List{Sign::systems,
         "race_condition race_conditions memory_leak heap_dump core_dump thread_dump flaky "
         "intermittent intermittently nondeterministic sporadic sporadically randomly sometimes "
         "under_load spikes oom out_of_memory gc_pause split-brain lost_update lost_updates "
         "double_spend dirty_read phantom snapshot_isolation mvcc wal checkpoint compaction "
         "memory_order memory_model acquire release volatile cas aba false_sharing numa epoll "
         "syscall use-after-free undefined_behaviour undefined_behavior data_race starvation "
         "priority_inversion retry retries timeouts circuit_breaker dead_letter reconcile "
         "reconciliation isolation_level read_committed repeatable_read wettlauf verklemmung "
         "sporadisch* interblocage intermittent* aléatoirement bloqueo intermitente* condición_de "
         "гонк* дедлок* взаимоблокировк* утечк* 竞态 内存泄漏 偶发 間欠的 競合 デッドロック "
         "メモリリーク "
         "zakleszczeni* wyciek*"},
    List{Sign::expert,
         "shareholder shareholders board insolven* bankrupt* creditor* cross-border residency "
         "double_taxation pension trust trustee heir heirs divorce divorced asylum visa "
         "non-compete noncompete severance whistleblow* audit auditor antitrust cartel sanctions "
         "ifrs gaap goodwill impairment amorti* convertible warrants swap swaps convexity "
         "monte_carlo value_at stress_test capital_structure unit_economics tender_offer escrow "
         "landlord eviction negligence malpractice consent controller processor transfer_pricing "
         "permanent_establishment subsidiary holding presents_with history_of "
         "hypertens* diabet* creatinine egfr inr haemoglobin hemoglobin platelets tachycard* "
         "hypotens* dyspn* seizure seizures stroke anaemia anemia copd cancer metasta* chest_pain "
         "warfarin apixaban metformin insulin beta-blocker ace_inhibitor interaction interactions "
         "overdose intubat* icu troponin lactate autoimmun* neuropath* insolvenz* gläubiger* "
         "betriebsrat abfindung scheidung unterhalt rente gesellschaft gmbh abschreibung "
         "anamnese jährige* faillite créancier* divorce pension retraite héritier* indemnité* "
         "antécédent* quiebra acreedor* divorcio pensión heredero* indemnización antecedentes "
         "банкрот* кредитор* развод* алимент* акционер* анамнез* давлени* 破产 离婚 抚养权 股权 "
         "股东 "
         "赔偿 病史 高血压 糖尿病 仲裁 破産 離婚 株主 遺産 解雇 既往歴 高血圧 糖尿病 fallimento "
         "eredit* divórcio herança upadłoś* wspólnik*"},
    List{
        Sign::deep,
        "long-term short-term ethical ethics geopolitic* macroeconom* counterfactual steelman "
        "objection objections limitations methodolog* literature_review policy policies incentive "
        "incentives game_theory equilibrium argue arguments feasib* milestones phases phased kpis "
        "success_criteria failure failures root_causes knock-on unintended robustness uncertainty "
        "uncertainties quantify triangulate reconcile synthesi* critically nuance* paradox "
        "dilemma conflict conflicting contradict* competing multiple_stakeholders regulatory "
        "ethisch* langfristig* zielkonflikt* machbarkeit* meilenstein* widersprüch* gegenargument* "
        "éthique* long_terme contradict* faisabilité jalons enjeux ética largo_plazo contradic* "
        "viabilidad hitos долгосрочн* противоречи* осуществим* этап* 伦理 长期 可行性 矛盾 里程碑 "
        "深入 系统性 倫理 長期 実現可能性 矛盾 詳しく 総合的 długotermin* sprzeczn* wykonalnoś*"},
    List{Sign::deep_math,
         "matrix matrices determinant vector_space linear_map basis dimension kernel_of limit_of "
         "sequence_of series converges divergence continuous differentiable measurable compact "
         "metric_space banach_space operator spectrum graph_theory planar chromatic matching "
         "np-complete p_vs complexity_class recurrence amortised amortized expected_value variance "
         "distribution poisson gaussian entropy_of hypothesis regression logistic likelihood mle "
         "gradient hessian lagrangian schrödinger maxwell thermodynamic* entropy angular_momentum "
         "eigenwert* stetig* differenzierbar* konverg* vektorraum matrize* intégrale* dérivée* "
         "continue convergence matrice* espace_vectoriel continua derivada* convergencia matriz* "
         "матриц* интеграл* непрерывн* сходи* производн* 矩阵 积分 微分 连续 特征值 概率 行列 積分 "
         "連続 "
         "固有値 確率 微分方程式 ciągł* macierz*"},
    // ---- demands ------------------------------------------------------------------------------
    List{
        Sign::demand,
        "must mustn't without at_most at_least no_more within never nobody no_one unless except "
        "each every all both only_if even_if while under_load guarantee guarantees ensure ensuring "
        "constraint constraints budget deadline limit limited max maximum min minimum per between "
        "across instead so_that in_which by_when against including incl covers keep can't cannot "
        "müssen muss ohne höchstens mindestens jede jeder jedes alle niemand außer darf dürfen "
        "zwischen pro sans doit doivent chaque tous toutes jamais aucun moins plus_de sin debe "
        "deben cada todos todas nunca ningún máximo mínimo entre без должен должны каждый каждого "
        "каждое не_более не_менее никто все между 必须 不能 至少 最多 每个 所有 保证 限制 不得 "
        "必ず なしに 以内 すべて 各 つつ しない bez musi każd* zonder moet elke senza ogni sem "
        "cada_um 반드시 모든 없이"},
    List{Sign::sequence,
         "then also first second third finally after afterwards before next plus as_well and_then "
         "followed_by in_order including_the dann danach zuerst außerdem anschließend zuletzt "
         "puis ensuite enfin d'abord aussi luego después además primero finalmente también затем "
         "потом сначала также наконец 然后 并且 首先 其次 最后 以及 同时 まず 次に また さらに "
         "最後に potem najpierw poi inoltre depois também daarna 그리고 먼저 다음"},
};

}  // namespace

Words::Words() {
  for (const List& list : kLists) {
    std::string_view rest = list.words;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      if (end > 0) add(rest.substr(0, end), list.sign);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
}

}  // namespace penstock::complexity
